import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Reply } from '../../exchange/exchange.ts'
import type { StoodIn } from '../reasons.ts'
import { statusLine } from '../status-line.ts'
import { isForVisitor } from '../witness/witness.ts'
import type { Lookup } from './lookup.ts'
import { replyFrom } from './reply.ts'

/** What went wrong with the handler's own answer. */
export interface Failure {
  readonly status: number
  readonly cause?: unknown
  readonly detail?: StoodIn | undefined
}

/**
 * The stored response in place of an error, where its terms allow (RFC 5861 §4). It is read again and not remembered from
 * before the handler ran: it may have been purged since.
 */
export function staleIfError(lookup: Lookup, failure: Failure): MaybePromise<Reply | undefined> {
  const { core, policy, view, key } = lookup
  return chain(
    core.ask('read', () => core.store.get(key.key, lookup.select)),
    (record) => {
      const now = core.clock.now()
      if (record?.kind !== 'record' || now >= record.ifErrorUntil) return undefined
      if (!isForVisitor(lookup, record)) return undefined
      const ttl = Math.floor((record.staleAt - now) / 1000)
      const { status, detail } = failure
      const line = statusLine(policy, key, { fwd: 'stale', fwdStatus: status, ttl, ...(detail ? { detail } : {}) })
      const reply = replyFrom({ view, now }, record, line)
      if (reply) {
        const answer = { reason: detail ?? 'stale', status: reply.status, bytes: reply.body?.byteLength, record }
        core.answered(view, 'stale', answer)
        core.events.emit('stale-served', { route: view.route, status, cause: failure.cause })
      }
      return reply
    },
  )
}
