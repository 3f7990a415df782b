import type { Charge } from '../store/store.ts'

/** What a decision has found so far: one of each per charge, in order. */
export interface Found {
  readonly charges: readonly Charge[]
  /** How long each has to wait; 0 where it may be charged. */
  readonly waits: readonly number[]
}

/** Whether a charge asks for a ban, and takes nothing. */
export function asksBan({ cost, quota }: Charge): boolean {
  return cost === 0 && quota.algorithm.kind === 'ban'
}

/**
 * Which of the bans in a decision are to be told that it refuses (by index). While one of them holds, no other counts: then
 * such a decision is answered without asking where the others stand.
 *
 * @param counts - whether a refusal by that charge is its subject's own
 */
export function bansToTell({ charges, waits }: Found, counts: (index: number) => boolean): readonly number[] {
  const bans = charges.flatMap((charge, i) => (asksBan(charge) ? [i] : []))
  const held = bans.some((i) => waits[i] !== 0 && !charges[i]!.quota.shadow)
  return bans.filter((i) => {
    if (waits[i] !== 0) return true
    const { policy } = charges[i]!.quota
    return !held && charges.some(({ quota }, n) => quota.policy === policy && waits[n] !== 0 && counts(n))
  })
}
