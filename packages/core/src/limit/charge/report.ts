import type { Clock } from '../../base/clock.ts'
import { refuses } from '../answer/answer.ts'
import { crosses } from '../answer/near-limit.ts'
import type { LimitSink } from '../events.ts'
import type { LimitCounters } from '../limiter-stats.ts'
import type { Policy } from '../policy/policy.ts'
import { subjectLength, type Verdict } from '../store/store.ts'
import { quotaVerdicts } from './charger.ts'
import type { Charging, PolicyCharge } from './charges.ts'

interface Reporting {
  readonly clock: Pick<Clock, 'wall'>
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
    if (quota === policy.ban) {
      if (!verdict.banned) continue
      reportBan(to, decided, i)
      if (quota.shadow && !shadowed?.includes(quota.name)) shadowed = [...(shadowed ?? []), quota.name]
      continue
    }
    if (verdict.via !== 'store') countOutage(policy, verdict)
    if (verdict.allowed) {
      if (!decided.allowed) continue
      policy.counters.allowed++
      if (quota.warnAt !== undefined) warn(to, decided.charges[i]!, verdict, about?.route)
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
  const violated = [...new Set(told.filter(refuses).map(({ quota }) => quota.name))]
  if (decided.allowed) sink.emit('allowed', { route: about?.route, policies })
  else sink.emit('denied', { route: about?.route, policies, violated, subjects: subjectsOf(decided, violated) })
}

/** Whom those policies have refused, in their order. */
function subjectsOf({ charges }: Charging, violated: readonly string[]): string[] {
  return violated.map((name) => charges.find(({ quota }) => quota.name === name)?.key.slice(0, subjectLength) ?? '')
}

/** Counts a decision that was taken without the store. */
function countOutage({ counters }: Policy, { via }: Verdict): void {
  if (via === 'open') counters.failedOpen++
  else if (via === 'closed') counters.failedClosed++
  else if (via === 'local') counters.countedLocally++
}

/** Counts and tells of a charge that brought what is used near the limit. */
function warn(
  { counters, sink }: Reporting,
  { quota, cost, policy }: PolicyCharge,
  verdict: Verdict,
  route: string | undefined,
): void {
  if (!crosses({ quota, verdict }, cost)) return
  policy.counters.nearLimit++
  counters.nearLimit++
  if (sink.wants('near-limit')) sink.emit('near-limit', { route, policy: quota.name, verdict })
}

/** Counts a refusal by a ban, and tells of one that begins. */
function reportBan({ clock, counters, sink }: Reporting, { charges, verdicts }: Charging, i: number): void {
  const { key, quota, policy } = charges[i]!
  const { banned, retryAfterMs } = verdicts[i]!
  const { begins, times } = banned!
  // A quota that refuses too has counted the request already.
  const alone = charges.every((one, n) => one.policy !== policy || n === i || verdicts[n]?.allowed !== false)
  if (alone) policy.counters[quota.shadow ? 'shadowDenied' : 'denied']++
  policy.counters.banDenied++
  if (begins) policy.counters.bans++
  if (quota.shadow) return
  counters.banDenied++
  if (!begins) return
  counters.bans++
  if (!sink.wants('banned')) return
  const until = new Date(clock.wall() + retryAfterMs)
  sink.emit('banned', { policy: policy.name, subject: key.slice(0, subjectLength), until, times, byHand: false })
}

/** Counts and events of a request that policies refuse without a charge: their lists name the client, or they have no price. */
export function reportDenied(
  { counters, sink }: Reporting,
  policies: readonly Policy[],
  { route }: { readonly route: string | undefined },
): void {
  const [shadowed, violated]: [string[], string[]] = [[], []]
  for (const { name, shadow, counters: own } of policies) {
    if (shadow) own.shadowDenied++
    else own.denied++
    ;(shadow ? shadowed : violated).push(name)
  }
  if (shadowed.length > 0) {
    counters.shadowDenied++
    if (sink.wants('shadow-denied')) sink.emit('shadow-denied', { route, violated: shadowed })
  }
  if (violated.length === 0) return
  counters.denied++
  if (sink.wants('denied')) sink.emit('denied', { route, policies: [], violated, subjects: violated.map(() => '') })
}
