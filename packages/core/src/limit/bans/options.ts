import { optionError } from '../../base/errors.ts'
import { checkOptions, type Rule, rule } from '../../base/options.ts'
import { type Duration, durationMs } from '../../base/units.ts'
import { longestWindowMs } from '../policy/rate.ts'
import type { BanRules } from './ban.ts'

/** When a policy shuts a key out, and for how long. */
export interface BanOptions {
  /** So many refusals by this policy begin a ban: a whole number above 0. The last of them is answered as banned. */
  readonly after: number
  /** In what time they have to come: 1 ms to 366 days. Default 10 min. */
  readonly within?: Duration | undefined
  /** How long the first ban lasts: 1 ms to 366 days. */
  readonly for: Duration
  /** How many times longer than the one before each further ban of the same key lasts: a number of 1 or more. Default 2. */
  readonly factor?: number | undefined
  /** No ban lasts longer: at least `for`, and 366 days at most. Default 1 day, or `for` where that is longer. */
  readonly max?: Duration | undefined
  /**
   * A key that is not refused for so long after its last ban starts anew: the next ban lasts `for` again. 0 to 366 days.
   * Default 7 days.
   */
  readonly forget?: Duration | undefined
}

const minuteMs = 60_000
const dayMs = 1_440 * minuteMs

const span: Rule = rule.readableBy(spanMs)

/**
 * The rules of a policy's `ban`; `by-hand`: keys are shut out by hand only.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_UNIT` for rules that make no sense
 */
export function banRules(where: string, ban: BanOptions | 'by-hand'): BanRules {
  if (ban === 'by-hand') return { after: 1, withinMs: 1, forMs: 0, factor: 1, maxMs: 0, forgetMs: 0 }
  checkOptions<BanOptions>(where, ban, {
    after: rule.positiveInteger,
    within: span,
    for: span,
    factor: (v) => (typeof v === 'number' && v >= 1 && v < Infinity ? undefined : 'must be a number of 1 or more'),
    max: span,
    forget: rule.readableBy(forgetMs),
  })
  for (const name of ['after', 'for'] as const) {
    if (ban[name] === undefined) throw optionError(`${where}.${name}`, 'must be given', undefined)
  }
  const forMs = spanMs(`${where}.for`, ban.for)
  const maxMs = ban.max === undefined ? Math.max(dayMs, forMs) : spanMs(`${where}.max`, ban.max)
  if (maxMs < forMs) throw optionError(`${where}.max`, 'must be no shorter than `for`', ban.max)
  return {
    after: ban.after,
    withinMs: spanMs(`${where}.within`, ban.within ?? 10 * minuteMs),
    forMs,
    factor: ban.factor ?? 2,
    maxMs,
    forgetMs: forgetMs(`${where}.forget`, ban.forget ?? 7 * dayMs),
  }
}

/** Of a ban, or of the time in which refusals are counted. */
export function spanMs(option: string, value: Duration): number {
  const ms = durationMs(option, value)
  if (ms < 1 || ms > longestWindowMs) throw optionError(option, 'must be from 1 ms to 366 days', value)
  return ms
}

function forgetMs(option: string, value: Duration): number {
  return value === 0 ? 0 : spanMs(option, value)
}
