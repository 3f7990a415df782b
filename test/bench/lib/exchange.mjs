import { Fields, NodeRequestView } from '@sluice/node'

const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }

/** A request as a host hands it in, without its socket. */
export const requestFor = (path) =>
  new NodeRequestView({ method: 'GET', url: path, headers: { host: 'localhost:3000' }, socket })

/** Answers a request that goes to its handler, as a host does. */
export async function answer({ exchange }, body) {
  const fields = Fields.from({ 'content-type': 'application/json; charset=utf-8' })
  const head = { status: 200, fields, before: Fields.from(), body: 'whole', length: body.length }
  await exchange.onHead(head)
  await exchange.onBody(head, body)
  await exchange.onClose('sent')
}
