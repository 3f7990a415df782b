import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Reply } from '../../exchange/exchange.ts'
import { isSingleRange } from '../../http/selection/range.ts'
import { secondaryKey } from '../policy/variant.ts'
import { statusLine } from '../status-line.ts'
import type { Lookup } from './lookup.ts'
import { replyFromPart } from './reply.ts'

/**
 * Parts of representations (RFC 9111 §3.3), for handlers that answer a Range with 206 and say how long that is fresh. A
 * part stands under a key of its own beside that of the whole, which it must never take the place of; it is a record of
 * status 206 with its Content-Range among its fields, so that stores need not know of it.
 */

/**
 * Whether a part may answer this request, and its own answer may become one: a GET of one range, where the handler's
 * fields decide. With conditions beside the range it is the handler's.
 */
export function wantsPart(lookup: Lookup): boolean {
  const { view, policy } = lookup
  if (policy.mode !== 'handler' || view.method !== 'GET' || !isSingleRange(view.header('range'))) return false
  if (view.header('if-none-match') !== undefined || view.header('if-modified-since') !== undefined) return false
  return !lookup.needsAuthorization
}

/** The answer from the part that is stored, if it has all of the range. Else what the look-up needs to store another. */
export function lookUpPart(lookup: Lookup): MaybePromise<Reply | undefined> {
  const { core, view, policy } = lookup
  const key = `part;${lookup.key.key}`
  const found = core.ask('read', () => core.store.get(key, (spec) => secondaryKey(lookup, spec)))
  return chain(found, (record) => {
    if (record === undefined) return undefined
    if (record.kind === 'vacancy') {
      lookup.part = { key, vacancy: record }
      return undefined
    }
    const now = core.clock.now()
    if (now < record.staleAt && !lookup.directives?.refuses(record, now)) {
      const line = statusLine(policy, lookup.key, { hit: true, ttl: Math.floor((record.staleAt - now) / 1000) })
      const reply = replyFromPart({ view, now }, record, line)
      if (reply) {
        const { status, body } = reply
        core.answered(view, 'hit', { reason: undefined, status, bytes: body?.byteLength, record })
        lookup.span?.note({ result: 'hit', status })
        lookup.release()
        return reply
      }
    }
    return chain(
      core.ask('read', () => core.store.position(key)),
      (vacancy) => {
        if (vacancy) lookup.part = { key, vacancy }
        return undefined
      },
    )
  })
}
