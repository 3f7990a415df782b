import type { ResponseHead } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { parseHttpDate } from '../../http/fields/http-date.ts'
import { evaluateConditional } from '../../http/selection/conditional.ts'

/**
 * Whether a response that is not stored is one the client has already, by the validators its handler gave it: what the
 * handler would have found out itself, had it been shown the client's conditions (RFC 9110 §13.2.2).
 */
export function isNotModified(view: RequestView, { status, fields }: ResponseHead): boolean {
  if (
    status !== 200 ||
    (view.header('if-none-match') === undefined && view.header('if-modified-since') === undefined)
  ) {
    return false
  }
  const etag = fields.get('etag')
  const lastModified = fields.get('last-modified')
  if (etag === undefined && lastModified === undefined) return false
  const now = Date.now()
  const selected = {
    etags: etag === undefined ? [] : [etag],
    lastModified,
    dateMs: parseHttpDate(fields.get('date') ?? '', now) ?? now,
  }
  return evaluateConditional(view.method, (name) => view.header(name), selected) === 'not-modified'
}
