import type { Verdict } from '@sluice/core'
import type { Spec } from './spec.ts'

/** What a script answered about one key. */
export interface KeyAnswer {
  readonly verdict: Verdict
  /** What was taken beyond the cost. */
  readonly extra: number
}

/** The answers about keys of these specs, from `at` on in what a script said; its time comes first. */
export function answersIn(numbers: readonly unknown[], at: number, specs: readonly Spec[]): readonly KeyAnswer[] {
  const now = Number(numbers[0])
  return specs.map((spec, i) => {
    // Numbers, unless the client leaves them as text.
    const of = (n: number): number => Number(numbers[at + 4 * i + n])
    const verdict = verdictFor(spec, now, [of(0), of(1), of(2)])
    if (spec.letter !== 'x') return { verdict, extra: of(3) }
    const times = of(3)
    const banned = times === 0 ? undefined : { begins: times > 0, times: Math.abs(times) }
    return { verdict: banned ? { ...verdict, banned } : verdict, extra: 0 }
  })
}

/** @param figures - how long to wait (below 0: for ever), what remains, when there is more */
export function verdictFor({ limit }: Spec, atMs: number, figures: readonly [number, number, number]): Verdict {
  const [wait, remaining, resetMs] = figures
  const permanent = wait < 0
  return {
    allowed: wait === 0,
    limit,
    remaining,
    retryAfterMs: permanent ? Number.POSITIVE_INFINITY : wait,
    resetMs,
    permanent,
    atMs,
    via: 'store',
  }
}
