import { type Calendar, type Charge, missingAfter, type Quota, type Verdict } from '@sluice/core'
import { type Letter, letterOf } from './scripts.ts'

/** A quota as scripts know it. */
export interface Spec {
  readonly letter: Letter
  /** `[letter, shadow, ...parameters]`, in JSON and without a space; of a calendar its name is the last. */
  readonly text: string
  readonly params: readonly number[]
  /** Whose periods a script must be handed. */
  readonly calendar: Calendar | undefined
  /** The most units there can be at once. */
  readonly limit: number
  /** How many units are taken at a time; 0: each as it is needed. */
  readonly take: number
  /** How long units taken in advance may be used, in milliseconds. */
  readonly holdMs: number
}

/** Units in advance are held this long at most, and at most this part of the time a quota takes to fill. */
const longestHoldMs = 1_000
const holdPart = 16

/** Below it nothing is taken in advance: it would be over before it was used. */
const shortestHoldMs = 10

/** The specs of the quotas there are. */
export class Specs {
  readonly #known = new WeakMap<Quota, Spec>()

  of({ quota }: Charge): Spec {
    let spec = this.#known.get(quota)
    if (!spec) {
      spec = specOf(quota)
      this.#known.set(quota, spec)
    }
    return spec
  }
}

function specOf(quota: Quota): Spec {
  return leased(quota) ?? spec(quota, quota.algorithm.params)
}

function spec(quota: Quota, params: readonly number[], advance: Pick<Spec, 'take' | 'holdMs'> = none): Spec {
  const { kind, calendar } = quota.algorithm
  const letter = letterOf[kind]
  const text = JSON.stringify([letter, quota.shadow ? 1 : 0, ...params, ...(calendar ? [calendar.name] : [])])
  return Object.freeze({ letter, text, params, calendar, limit: params[0]!, ...advance })
}

const none = { take: 0, holdMs: 0 }

/**
 * How a quota is counted whose units are taken in advance. A unit is charged when it is taken and used up to `holdMs`
 * later, so a span of L ms of use falls into L + `holdMs` of charges. Counted by the quota's own numbers, two takings
 * could then be used within one window. Windows are therefore longer by `holdMs`, and a bucket's burst smaller by what
 * flows in during it: the guarantee of the algorithm holds for the requests, strictly.
 */
function leased(quota: Quota): Spec | undefined {
  const { lease, shadow, algorithm } = quota
  const { kind, params } = algorithm
  if (lease === 0 || shadow || kind === 'concurrent') return undefined
  // What is left of a period is not used in the next one: nothing needs to be counted longer.
  if (kind === 'calendar-window') return spec(quota, params, { take: lease, holdMs: longestHoldMs })
  const [a, b, c, d] = params as readonly [number, number, number, number]
  const fullMs = kind === 'token-bucket' ? algorithm.stateTtlMs : b
  const holdMs = Math.min(longestHoldMs, Math.floor(fullMs / holdPart))
  if (holdMs < shortestHoldMs) return undefined
  const advance = { take: lease, holdMs }
  if (kind === 'fixed-window') return spec(quota, [a, b + holdMs], advance)
  if (kind === 'token-bucket') {
    const burst = a - Math.ceil((holdMs * c) / b)
    return burst < 1 ? undefined : spec(quota, [burst, b, c], advance)
  }
  // holdMs is at most a sixteenth of the window, so one more bucket covers it; buckets of a log are milliseconds.
  return spec(quota, [a, b, c, d + Math.ceil(holdMs / c)], advance)
}

/** How long units that were taken in advance may be used, from when they were asked for. */
export function holdMsOf({ holdMs, calendar }: Spec, { resetMs }: Verdict): number {
  return calendar ? Math.min(holdMs, resetMs) : holdMs
}

/** How many tokens were missing after a charge, where that is a matter of the algorithm. */
export function missingOf({ letter, params }: Spec, verdict: Verdict): number | undefined {
  return letter === 'b' ? missingAfter(verdict, params) : undefined
}
