const dayMs = 86_400_000

/**
 * What the clocks on the wall show in a time zone, by the platform's own data (`Intl`). Times of the wall are written as
 * milliseconds too: those of a place where the same clocks show UTC.
 */
export class TimeZone {
  /** As the platform spells it: `Europe/Berlin`, whatever the case it was asked for in. */
  readonly name: string
  readonly #format: Intl.DateTimeFormat

  /** @throws RangeError where there is no such zone */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    this.name = this.#format.resolvedOptions().timeZone
  }

  /** What the clocks show at an instant. Takes microseconds: it is not for hot paths. */
  wallMs(ms: number): number {
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
    for (const { type, value } of this.#format.formatToParts(ms)) parts[type] = value
    const [year, month, day] = [Number(parts.year), Number(parts.month), Number(parts.day)]
    const seconds = Number(parts.hour) * 3_600 + Number(parts.minute) * 60 + Number(parts.second)
    // Before the year 1 there was the year 1 before Christ.
    const midnight = midnightOf(parts.era === 'BC' ? 1 - year : year, month - 1, day)
    return midnight + seconds * 1_000 + (ms - Math.floor(ms / 1_000) * 1_000)
  }

  /**
   * The first instant at which the clocks show `wallMs` or later. Where they are put forward over it that is when they are put
   * forward; where they are put back over it, and show it twice, it is the first time.
   */
  firstAt(wallMs: number): number {
    // No zone is a day ahead of UTC, so that it is not yet so late there.
    let atMs = wallMs - dayMs
    for (;;) {
      const offset = this.#offset(atMs)
      const reachedMs = wallMs - offset
      if (this.#offset(reachedMs) === offset) return reachedMs
      // The clocks are changed before then.
      const changedMs = this.#changeIn(atMs, reachedMs, offset)
      if (this.wallMs(changedMs) >= wallMs) return changedMs
      atMs = changedMs
    }
  }

  #offset(ms: number): number {
    return this.wallMs(ms) - ms
  }

  /** The instant, after `before` and at the latest `after`, from which on the offset is not what it was. */
  #changeIn(before: number, after: number, offset: number): number {
    let [low, high] = [before, after]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.#offset(middle) === offset) low = middle
      else high = middle
    }
    return high
  }
}

/** Midnight in UTC. `Date.UTC` takes the years before 100 for years of the twentieth century. */
export function midnightOf(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month, day)
}

/** Whether a value names a time zone of the IANA database that this platform knows; offsets (`+02:00`) know no summer. */
export function isTimeZone(value: unknown): value is string {
  if (typeof value !== 'string' || !/^[a-z]/i.test(value)) return false
  try {
    return new TimeZone(value).name !== ''
  } catch {
    return false
  }
}
