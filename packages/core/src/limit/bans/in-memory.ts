import type { Verdict } from '../algorithms/algorithm.ts'
import type { LimitState } from '../algorithms/algorithm-for.ts'
import { type Charge, type HeldBan, type Quota, subjectLength } from '../store/store.ts'
import type { BanAlgorithm, BanState } from './ban.ts'
import { bansToTell } from './refusals.ts'

/** What memory holds of a key. */
interface Entry {
  readonly key: string
  quota: Quota
  state: LimitState
}

/** A decision that is being made: one of each per charge. */
export interface Together {
  readonly charges: readonly Charge[]
  readonly entries: readonly (Entry | undefined)[]
  readonly states: readonly LimitState[]
  readonly waits: number[]
  /** Whether that entry is one that strangers share. */
  readonly shared: (entry: Entry) => boolean
  /** The key's entry, which may be new; `undefined` where there is no room for one. */
  readonly placeFor: (charge: Charge) => Entry | undefined
}

/** Tells the bans of a decision of its refusals, and sets how long to wait then. Answers how long it was before. */
export function tellBans({ charges, entries, states, waits, shared, placeFor }: Together, now: number) {
  const before = [...waits]
  // A refusal at a bucket that strangers share is nobody's.
  const own = (i: number): boolean => entries[i] === undefined || !shared(entries[i])
  for (const i of bansToTell({ charges, waits }, own)) {
    const charge = charges[i]!
    const algorithm = algorithmOf(charge)
    const state = states[i] as BanState
    const entry = entries[i] ?? placeFor(charge)
    if (!entry || !algorithm.refused(state, now)) continue
    entry.quota = charge.quota
    entry.state = state
    waits[i] = algorithm.waitMs(state, 0, now)
  }
  return before
}

/** The verdict about a ban: one that refuses says so. */
export function banVerdict(verdict: Verdict, state: LimitState, begins: boolean): Verdict {
  return verdict.allowed ? verdict : { ...verdict, banned: { begins, times: (state as BanState).times } }
}

export function algorithmOf({ quota }: Pick<Charge, 'quota'>): BanAlgorithm {
  return quota.algorithm as unknown as BanAlgorithm
}

/** The bans of these policies among all entries there are. */
export function heldBans(all: Iterable<Entry>, policies: readonly string[], now: number): HeldBan[] {
  const held: HeldBan[] = []
  for (const { key, quota, state } of all) {
    if (quota.algorithm.kind !== 'ban' || !policies.includes(quota.policy)) continue
    const endsInMs = quota.algorithm.waitMs(state, 0, now)
    if (endsInMs === 0) continue
    const { times, byHand, reason } = state as BanState
    held.push({ policy: quota.policy, subject: key.slice(0, subjectLength), endsInMs, times, byHand, reason })
  }
  return held
}
