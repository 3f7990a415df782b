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
    const parts: Record<string, number> = {}
    for (const { type, value } of this.#format.formatToParts(ms)) parts[type] = Number(value)
    const { year, month, day, hour, minute, second } = parts as Record<Intl.DateTimeFormatPartTypes, number>
    return Date.UTC(year, month - 1, day, hour, minute, second) + (ms - Math.floor(ms / 1_000) * 1_000)
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

/** Whether a value names a time zone of the IANA database that this platform knows; offsets (`+02:00`) know no summer. */
export function isTimeZone(value: unknown): value is string {
  if (typeof value !== 'string' || !/^[a-z]/i.test(value)) return false
  try {
    return new TimeZone(value).name !== ''
  } catch {
    return false
  }
}
