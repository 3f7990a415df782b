import { checkOptions, type Duration, durationMs, rule } from '@sluice/core'

export interface WarmOptions {
  /** How many requests are under way at a time. Default `4`. */
  readonly concurrency?: number | undefined
  /** How long each of these pauses between two requests. Default `0`. */
  readonly delay?: Duration | undefined
  /** How long one answer may take. Default `'30s'`. */
  readonly timeout?: Duration | undefined
  /** How often a request is made again after 429, 503 or a broken connection, when `Retry-After` says. Default `3`. */
  readonly retries?: number | undefined
  /**
   * The `Host` that clients send: entries of another host are other entries. Default: that of each URL, where it is
   * absolute, else that of the target's URL. For paths of an application, which has none, it must be given.
   */
  readonly host?: string | undefined
  /** Fields to send. Several sets: each URL is asked for with each (codings, languages). Default: one without any. */
  readonly headers?: Readonly<Record<string, string>> | readonly Readonly<Record<string, string>>[] | undefined
  /** A file in which is noted what is done, so that a run that was stopped goes on there. Removed at the end. Default: none. */
  readonly resume?: string | undefined
  /** Told after each URL. `progressLine()` makes one that draws a line. */
  readonly onProgress?: ((progress: WarmProgress) => void) | undefined
  /** Stops it: what is under way is broken off, and the result says how far it came. */
  readonly signal?: AbortSignal | undefined
}

export interface WarmProgress extends WarmCounts {
  /** What was asked for last, and how it was answered; `undefined` where it was not. */
  readonly url: string
  readonly status: number | undefined
}

export interface WarmCounts {
  readonly total: number
  /** Answered or given up. Those of an earlier run that was resumed are counted. */
  readonly done: number
  /** Were there already, or came by another's request. */
  readonly hits: number
  /** Are there now. */
  readonly stored: number
  /** Were answered, and not stored: the route has no cache, or the answer may not be kept. */
  readonly unstored: number
  /** Were not answered, or with an error (4xx, 5xx). */
  readonly failed: number
  /** Were done by the run before. */
  readonly resumed: number
}

const duration = rule.readableBy(durationMs)

/** @throws SluiceError `ERR_SLUICE_OPTION` or `ERR_SLUICE_UNIT` */
export function checkWarmOptions(options: WarmOptions): void {
  checkOptions<WarmOptions>('warm', options, {
    concurrency: rule.positiveInteger,
    delay: duration,
    timeout: duration,
    retries: (value) =>
      Number.isSafeInteger(value) && Number(value) >= 0 ? undefined : 'must be a whole number of 0 or more',
    host: rule.string,
    headers: rule.object,
    resume: rule.string,
    onProgress: rule.function,
    signal: rule.object,
  })
}
