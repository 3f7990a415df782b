import { outside, type Span } from '../../base/tracing/tracing.ts'
import type { RefreshTicket } from '../../exchange/request-view.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { Fill } from '../fill/single-flight.ts'
import type { Vacancy } from '../store/store.ts'
import type { Lookup } from './lookup.ts'

/** A background refresh: the request it makes carries this, and the cache knows it again by it. */
export interface Ticket extends RefreshTicket {
  /** The policy of the `sluice.cache(...)` that made it: others on the way leave the request alone. */
  readonly policy: object
  readonly key: string
  readonly fill: Fill
  readonly stale: CacheRecord
  /** Where the look-up learnt it already. */
  readonly vacancy: Vacancy | undefined
}

/**
 * Makes the request again without a client, unless one is under way: with the vacancy the look-up has, which is the
 * refresh's from then on. The fill to wait for, where there is one.
 */
export function refreshBehind(lookup: Lookup, stale: CacheRecord): Fill | undefined {
  const { core, policy, view, vacancy, variantKey } = lookup
  const { fills, counters } = core
  const running = fills.running(variantKey)
  // Another process refreshes it: this one will find what it brings.
  if (!running && vacancy?.lease === 'held') return undefined
  if (running || !lookup.canRefresh || fills.sideBySide(variantKey)) {
    if (running) core.release(vacancy)
    return running
  }
  const fill = fills.lead(variantKey, {
    timeoutMs: policy.timeoutMs,
    authorization: lookup.authorization,
    unattended: true,
  })
  counters.refreshes++
  const span = spanOf(lookup, stale)
  const within: Ticket['within'] = span && ((run) => span.within(run))
  const ticket: Ticket = { policy, key: lookup.key.key, fill, stale, vacancy, within }
  void view.refresh!(ticket).then(() => {
    span?.end()
    // Where the request never came back to this cache (an outer guard refused it), the wait ends here.
    fill.settle('failed')
    core.release(vacancy)
  })
  return fill
}

/** The look-up that found it stale is over before it: they stand side by side. */
function spanOf({ core, view, span }: Lookup, stale: CacheRecord): Span | undefined {
  const { tracing } = core.events
  return tracing && outside(span, () => tracing.begin('refresh', { route: view.route ?? stale.target.route }))
}
