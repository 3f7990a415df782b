import type { QuotaVerdict } from '../answer/answer.ts'
import type { Charging, Made } from './charges.ts'

/** What limiters before have done about the same request. */
export interface Mark {
  exempt: boolean
  readonly made: Made[]
}

/**
 * Remembers what was charged for a request, for as long as the request lives: so that a second limiter tells of the first
 * one's quotas too, the same bucket is not charged twice, and a later `exempt()` can give everything back. Kept only where
 * an application has more than one limiter, or exempts anything.
 */
export class RequestMarks {
  readonly #marks = new WeakMap<object, Mark>()
  /** Whether anything needs to be remembered. */
  needed = false

  get(request: object): Mark | undefined {
    return this.needed ? this.#marks.get(request) : undefined
  }

  exempt(request: object): Mark['made'] {
    const made = this.#marks.get(request)?.made ?? []
    this.#marks.set(request, { exempt: true, made: [] })
    return made
  }

  add(request: object, { charges, verdicts }: Charging): void {
    if (!this.needed) return
    let mark = this.#marks.get(request)
    if (!mark) {
      mark = { exempt: false, made: [] }
      this.#marks.set(request, mark)
    }
    charges.forEach((charge, i) => {
      const verdict = verdicts[i]
      // Nothing was made where a ban was asked about.
      if (verdict && charge.quota !== charge.policy.ban) mark.made.push({ charge, verdict })
    })
  }

  /** What earlier limiters have to tell of this request. */
  static told(mark: Mark | undefined): QuotaVerdict[] {
    return mark ? mark.made.map(({ charge, verdict }) => ({ quota: charge.quota, verdict })) : []
  }

  /** The same where a later limiter refuses, and they get back what they took. */
  static toldBack(mark: Mark): QuotaVerdict[] {
    return mark.made.map(({ charge: { quota, cost }, verdict }) => {
      if (!verdict.allowed) return { quota, verdict }
      return { quota, verdict: { ...verdict, remaining: Math.min(verdict.limit, verdict.remaining + cost) } }
    })
  }
}
