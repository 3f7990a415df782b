import type { Page, PaginateOptions, ResponseHead } from '@sluice/core'
import { pageOf, paginateArray } from '@sluice/core'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'
import { PaginatePipeline } from '../../packages/core/src/page/paginate-pipeline.ts'
import { links } from './links-of.ts'

/** What a list answers, without a host. */
export interface Listed {
  readonly page: Page
  /** What would be sent for these items. */
  reply(...args: Parameters<Page['reply']>): { readonly sent: unknown; readonly links: Record<string, string> }
  /** The same of an array, through `paginateArray`. */
  array(items: readonly unknown[]): { readonly sent: unknown; readonly links: Record<string, string> }
}

/** A list without a host: answers the page of a query string. */
export function list(options: PaginateOptions): (query?: string) => Listed {
  const pipeline = new PaginatePipeline({ secret: 'a secret of these tests', ...options }, () => 'unused')
  return (query = '') => {
    const native = {}
    const view = { method: 'GET', path: '/list', route: undefined, query: query.replace(/^\?/, ''), native }
    const opening = pipeline.open(view as never)
    if (opening.kind !== 'proceed') throw new Error(Buffer.from(opening.reply.body!).toString())
    const page = pageOf(native)
    const send = (sent: unknown) => {
      const fields = Fields.from()
      opening.exchange!.onHead({ status: 200, fields, before: Fields.from(), body: 'whole', length: 1 } as ResponseHead)
      return { sent, links: links(fields.get('link')) }
    }
    return { page, reply: (...args) => send(page.reply(...args)), array: (items) => send(paginateArray(page, items)) }
  }
}
