import { isPromise } from '../../base/maybe-promise.ts'
import type { Reply } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { CacheKey } from '../policy/key.ts'
import { requestDirectives } from '../policy/request-directives.ts'
import { isForVisitor } from '../witness/witness.ts'
import { Lookup, type LookupCache } from './lookup.ts'
import { refreshBehind } from './refresh.ts'
import { fieldOf } from './reply.ts'
import { counted, replyOf } from './steps.ts'

/** An answer that is there. Nothing was counted yet. */
export interface AtOnce {
  readonly lookup: Lookup
  readonly record: CacheRecord
  readonly reply: Reply
}

/**
 * What everybody who sends this request may be sent from the memory of this process, without anything in front of the cache
 * having run. `undefined` where the ordinary way has to be taken: nothing was counted, led or leased then.
 */
export function answerAtOnce(cache: LookupCache, view: RequestView, key: CacheKey): AtOnce | undefined {
  const { core, policy } = cache
  const lookup = new Lookup(cache, view)
  lookup.key = key
  const found = core.attempt('front', () => core.store.held?.(key.key, lookup.select))
  if (!found?.shared || !isEverybodys(found)) return undefined
  if (found.witness && !isForVisitor(lookup, found)) return undefined
  const directives = policy.honourRequest ? requestDirectives(view) : undefined
  if (directives?.noStore) return undefined
  lookup.directives = directives
  lookup.now = core.clock.now()
  const { now } = lookup
  if (directives?.refuses(found, now)) return undefined
  const isStale = now >= found.staleAt
  if (isStale && !(now < found.whileRevalidateUntil && lookup.canRefresh)) return undefined
  const ready = core.forms.forHit(lookup, found)
  const reply = isPromise(ready) ? undefined : replyOf(lookup, ready)
  return reply && { lookup, record: ready as CacheRecord, reply }
}

/** The answer is going to be sent: it counts as a hit, and what is behind it is refreshed where it is due. */
export function takeAtOnce({ lookup, record, reply }: AtOnce): void {
  // It is drawn where it is known to be the answer: what comes to nothing is looked up again behind the door.
  const { route = record.target.route, method } = lookup.view
  lookup.span = lookup.core.events.tracing?.begin('lookup', { route, method })
  if (lookup.now >= record.staleAt) {
    lookup.vacancy = undefined
    refreshBehind(lookup, record)
  }
  counted(lookup, record, reply, true)
  lookup.span?.end()
}

const everybodys = Symbol('sluice.everybodys')
type JudgedRecord = CacheRecord & { [everybodys]?: boolean }

/** Whether it says nothing of being somebody's. Told once for each record. */
function isEverybodys(record: JudgedRecord): boolean {
  record[everybodys] ??=
    record.promise?.scope !== 'private' &&
    !/(?:^|[\s,])private(?:$|[\s,=;])/i.test(fieldOf(record.fields, 'cache-control') ?? '')
  return record[everybodys]
}
