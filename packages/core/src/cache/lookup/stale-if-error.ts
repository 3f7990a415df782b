import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Reply } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheCore } from '../cache-core.ts'
import type { CacheKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { variantSelector } from '../policy/variant.ts'
import { statusLine } from '../status-line.ts'
import { replyFrom } from './reply.ts'

/** What went wrong with the handler's own answer. */
export interface Failure {
  readonly status: number
  readonly cause?: unknown
  readonly detail?: string | undefined
}

/**
 * The stored response in place of an error, where its terms allow (RFC 5861 §4). It is read again and not remembered from
 * before the handler ran: it may have been purged since.
 */
export function standIn(
  core: CacheCore,
  policy: CachePolicy,
  view: RequestView,
  key: CacheKey,
  failure: Failure,
): MaybePromise<Reply | undefined> {
  const found = core.ask('read', () => core.store.get(key.key, variantSelector(view)))
  return chain(found, (record) => {
    const now = core.clock.now()
    if (record?.kind !== 'record' || now >= record.ifErrorUntil) return undefined
    const ttl = Math.floor((record.staleAt - now) / 1000)
    const { status, detail } = failure
    const line = statusLine(policy, key, { fwd: 'stale', fwdStatus: status, ttl, ...(detail ? { detail } : {}) })
    const reply = replyFrom(record, view, now, line)
    if (reply) {
      core.counters.stale++
      core.events.emit('stale-served', { route: view.route, status, cause: failure.cause })
    }
    return reply
  })
}
