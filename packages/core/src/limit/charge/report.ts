import { refuses } from '../answer/answer.ts'
import type { LimitSink } from '../events.ts'
import type { LimitCounters } from '../limiter-stats.ts'
import type { Policy } from '../policy/policy.ts'
import { quotaVerdicts } from './charger.ts'
import type { Charging } from './charges.ts'

interface Reporting {
  readonly sink: LimitSink
  readonly counters: LimitCounters
}

/** Counts and events of one decision. `about`: the request, where there is one. */
export function reportDecision(to: Reporting, decided: Charging, about?: { readonly route: string | undefined }): void {
  const { counters, sink } = to
  let shadowed: string[] | undefined
  for (let i = 0; i < decided.charges.length; i++) {
    const { quota, policy } = decided.charges[i]!
    const verdict = decided.verdicts[i]
    if (!verdict) continue
    if (verdict.allowed) {
      if (decided.allowed) policy.counters.allowed++
    } else if (quota.shadow) {
      policy.counters.shadowDenied++
      shadowed ??= []
      shadowed.push(quota.name)
    } else policy.counters.denied++
  }
  counters[decided.allowed ? 'allowed' : 'denied']++
  if (shadowed) {
    counters.shadowDenied++
    if (sink.wants('shadow-denied')) sink.emit('shadow-denied', { route: about?.route, violated: shadowed })
  }
  const name = decided.allowed ? 'allowed' : 'denied'
  if (!sink.wants(name)) return
  const told = quotaVerdicts(decided)
  const policies = told.map(({ quota, verdict }) => ({ policy: quota.name, verdict }))
  const violated = told.filter(refuses).map(({ quota }) => quota.name)
  if (decided.allowed) sink.emit('allowed', { route: about?.route, policies })
  else sink.emit('denied', { route: about?.route, policies, violated })
}

/** Counts and event of a request that policies refuse because they have no price for it. */
export function reportUnpriced(
  { counters, sink }: Reporting,
  policies: readonly Policy[],
  about: { readonly route: string | undefined },
): void {
  counters.denied++
  for (const { counters: own } of policies) own.denied++
  const violated = policies.map(({ name }) => name)
  if (sink.wants('denied')) sink.emit('denied', { route: about.route, policies: [], violated })
}
