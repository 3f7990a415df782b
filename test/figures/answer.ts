import { Fields, type Pipeline, type RequestView, type ResponseHead } from '@sluice/core'

const body = Buffer.from('hello')

/** Answers a request as a host does, with a handler that says hello, or that it is not to be stored. */
export async function answer(pipeline: Pipeline, view: RequestView, how: { skip?: string | false }): Promise<void> {
  const opening = await pipeline.open(view)
  if (opening.kind !== 'proceed') return
  const { exchange } = opening
  if (how.skip) exchange?.control?.skip(how.skip)
  const fields = Fields.from({ 'content-type': 'text/plain' })
  const head: ResponseHead = { status: 200, fields, before: Fields.from(), body: 'whole', length: body.length }
  const plan = await exchange?.onHead?.(head)
  if (plan?.mode === 'hold') await exchange?.onBody?.(head, body)
  exchange?.onClose('sent')
}
