import type { MaybePromise } from '../../base/maybe-promise.ts'
import { RequestContext } from '../../exchange/context.ts'
import type { Opening, Pipeline } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { isSafeMethod } from '../../http/methods.ts'
import type { CacheCore } from '../cache-core.ts'
import { BypassTeller, PassExchange } from '../fill/pass-exchange.ts'
import { PostExchange } from '../fill/post-exchange.ts'
import { invalidateTarget } from '../invalidation.ts'
import type { CachePolicy } from '../policy/options.ts'
import { statusLine } from '../status-line.ts'
import { Lookup, type LookupCache } from './lookup.ts'
import type { Ticket } from './refresh.ts'
import { bypass, lookUp, run, withKey } from './steps.ts'
import { tracedLookUp } from './traced.ts'

/** One `sluice.cache(...)`: tells the requests it is for, and looks each of them up. */
export class CachePipeline implements Pipeline {
  readonly name = 'cache'
  readonly #cache: LookupCache

  constructor(core: CacheCore, policy: CachePolicy) {
    const hitLine = (ttl: number): string => statusLine(policy, undefined, { hit: true, ttl })
    this.#cache = { core, policy, hitLine }
  }

  open(view: RequestView): MaybePromise<Opening> {
    const { core, policy } = this.#cache
    if (view.ticket !== undefined) return openRefresh(new Lookup(this.#cache, view), view.ticket as Ticket)
    if (!policy.methods.includes(view.method)) return this.#otherMethod(view)
    if (policy.unless && core.attempt('unless', () => !policy.unless!(new RequestContext(view))) !== true) {
      return bypass({ core, policy, view }, 'unless')
    }
    // RFC 9111 §4.3.2: a cache does not evaluate these; they are the origin's.
    if (view.header('if-match') !== undefined || view.header('if-unmodified-since') !== undefined) {
      return bypass({ core, policy, view }, 'precondition')
    }
    const lookup = new Lookup(this.#cache, view)
    const { tracing } = core.events
    return tracing ? tracedLookUp(tracing, lookup) : withKey(lookup, lookUp)
  }

  #otherMethod(view: RequestView): Opening {
    const { core, policy } = this.#cache
    const line = statusLine(policy, undefined, { fwd: 'method' })
    const teller = BypassTeller.of(core, view, 'method')
    if (view.method === 'POST') return { kind: 'proceed', exchange: new PostExchange(core, view, policy, teller) }
    const exchange = isSafeMethod(view.method)
      ? new PassExchange(line, teller)
      : invalidateTarget(core, view, line, teller)
    return { kind: 'proceed', exchange }
  }
}

/** A refresh has come back to the application. */
function openRefresh(lookup: Lookup, ticket: Ticket): MaybePromise<Opening> {
  const passing: Opening = { kind: 'proceed', exchange: new PassExchange(undefined) }
  if (ticket.policy !== lookup.policy) return passing
  return withKey(lookup, () => {
    if (lookup.key.key !== ticket.key) return passing
    lookup.fill = ticket.fill
    lookup.stale = ticket.stale
    lookup.vacancy = ticket.vacancy
    lookup.status = { fwd: 'stale' }
    return run(lookup)
  })
}
