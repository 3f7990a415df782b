import { type Clock, systemClock } from '../../base/clock.ts'
import { optionError, SluiceError, show } from '../../base/errors.ts'
import { checkOptions, rule } from '../../base/options.ts'
import { digest } from '../../exchange/client/by.ts'
import type { AnyAlgorithm } from '../algorithms/algorithm-for.ts'
import { fixedWindow } from '../algorithms/fixed-window.ts'
import type { Charge, LimitStore, Settlement, Verdict } from './store.ts'

/** What a limiter of rate-limiter-flexible answers, and what it rejects with where it refuses. */
export interface FlexibleResult {
  readonly remainingPoints: number
  readonly msBeforeNext: number
  readonly consumedPoints: number
}

/** A limiter of rate-limiter-flexible (or of the same shape). That package need not be installed for this type. */
export interface FlexibleLimiter {
  readonly points: number
  readonly duration: number
  consume(key: string, points?: number): Promise<FlexibleResult>
  get(key: string): Promise<FlexibleResult | null>
  reward(key: string, points?: number): Promise<unknown>
  delete(key: string): Promise<unknown>
}

export interface FlexibleOptions {
  readonly clock?: Clock | undefined
}

/** How many refused keys are remembered. */
const maxBlocked = 10_000

/** Longer delays of the platform's timers fire at once: its memory limiter then forgets every key immediately. */
const longestTimerMs = 2 ** 31 - 1

/**
 * A limiter of rate-limiter-flexible as the store of a policy: a door to its fifteen databases. The policy's rate is the
 * limiter's (`points` per `duration`) and may be left out; it counts in fixed windows, so up to 2N − 1 come through in
 * the worst window.
 *
 * What it cannot do: its refusals are charged too. That is kept off where it can be: while a key is known to be used up
 * nothing is asked, a cost above 1 is looked up before it is charged, one above the limit is never charged, and where
 * several policies share a request what earlier ones took is given back. Between two processes it remains.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` for what is no such limiter, or one whose settings break what a policy promises
 *   (`duration: 0`, `execEvenly`, in memory longer than 24 days)
 * @example
 * ```ts
 * const limiter = new RateLimiterPostgres({ storeClient: pool, points: 5, duration: 900 })
 * createSluice({ limits: { login: { store: flexible(limiter) } } })
 * ```
 */
export function flexible(limiter: FlexibleLimiter, options: FlexibleOptions = {}): LimitStore {
  checkOptions<FlexibleOptions>('flexible', options, { clock: rule.object })
  const { points, duration } = checkLimiter(limiter)
  return new FlexibleStore(
    limiter,
    { quota: points, windowMs: Math.round(duration * 1_000) },
    options.clock ?? systemClock(),
  )
}

function checkLimiter(limiter: FlexibleLimiter): FlexibleLimiter {
  const methods = ['consume', 'get', 'reward', 'delete'] as const
  if (methods.some((name) => typeof (limiter as Partial<FlexibleLimiter> | null)?.[name] !== 'function')) {
    throw optionError('flexible(limiter)', 'must be a single limiter of rate-limiter-flexible', limiter)
  }
  const { points, duration } = limiter
  if (!Number.isSafeInteger(points) || points < 1) {
    throw optionError('flexible(limiter).points', 'must be a whole number above 0', points)
  }
  if (!(duration > 0 && Number.isFinite(duration))) {
    throw optionError('flexible(limiter).duration', 'must be above 0: a window that ends', duration)
  }
  if ('execEvenly' in limiter && limiter.execEvenly) {
    throw optionError('flexible(limiter).execEvenly', 'must be off: a decision must not be delayed', true)
  }
  if ('_memoryStorage' in limiter && duration * 1_000 > longestTimerMs) {
    throw optionError('flexible(limiter).duration', 'must be at most 24 days in memory: its timers overflow', duration)
  }
  return limiter
}

class FlexibleStore implements LimitStore {
  readonly kind = 'remote'
  readonly algorithm = 'fixed-window'
  readonly rate: { readonly quota: number; readonly windowMs: number }
  readonly #limiter: FlexibleLimiter
  readonly #clock: Clock
  readonly #signature: string
  /** Keys that are used up, and until when. */
  readonly #blocked = new Map<string, number>()

  constructor(limiter: FlexibleLimiter, rate: { quota: number; windowMs: number }, clock: Clock) {
    this.#limiter = limiter
    this.#clock = clock
    this.rate = Object.freeze(rate)
    this.#signature = fixedWindow(rate.quota, rate.windowMs).signature
  }

  refuses(algorithm: AnyAlgorithm): string | undefined {
    const { quota, windowMs } = this.rate
    if (algorithm.calendar) {
      return `must not be of the calendar: the rate-limiter-flexible limiter counts ${quota} per ${windowMs} ms from the first request on`
    }
    return algorithm.signature === this.#signature
      ? undefined
      : `must be what the rate-limiter-flexible limiter counts, ${quota} per ${windowMs} ms in fixed windows (or left out)`
  }

  async consume(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = []
    for (const charge of charges) {
      const verdict = await this.#consume(charge)
      verdicts.push(verdict)
      if (verdict.allowed || charge.quota.shadow) continue
      const taken = charges
        .slice(0, verdicts.length)
        .map((c, i) => ({ charge: c, verdict: verdicts[i]!, refund: c.cost }))
      await this.settle(taken)
      const rest = charges.slice(verdicts.length)
      return [...(await this.peek(charges.slice(0, verdicts.length - 1))), verdict, ...(await this.peek(rest))]
    }
    return verdicts
  }

  async #consume(charge: Charge): Promise<Verdict> {
    const { cost } = charge
    const key = keyOf(charge)
    const now = this.#now()
    if (cost > this.rate.quota || cost === 0) return this.#peek(charge)
    const until = this.#blocked.get(key)
    if (until !== undefined && now < until) return this.#verdict(false, 0, until - now, now)
    if (cost > 1) {
      const before = await this.#peek(charge)
      if (!before.allowed) return before
    }
    try {
      const result = resultOf(await this.#limiter.consume(key, cost))
      return this.#verdict(true, result.remainingPoints, result.msBeforeNext, now)
    } catch (reason) {
      const refusal = refusalOf(reason)
      this.#block(key, now + refusal.msBeforeNext)
      return this.#verdict(false, 0, refusal.msBeforeNext, now)
    }
  }

  async peek(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    return Promise.all(charges.map((charge) => this.#peek(charge)))
  }

  async #peek(charge: Charge): Promise<Verdict> {
    const { cost } = charge
    const found = await this.#limiter.get(keyOf(charge))
    const { remainingPoints, msBeforeNext } = found
      ? resultOf(found)
      : { remainingPoints: this.rate.quota, msBeforeNext: 0 }
    const verdict = this.#verdict(cost === 0 || cost <= remainingPoints, remainingPoints, msBeforeNext, this.#now())
    return cost > this.rate.quota ? { ...verdict, retryAfterMs: Number.POSITIVE_INFINITY, permanent: true } : verdict
  }

  #verdict(allowed: boolean, remaining: number, msBeforeNext: number, atMs: number): Verdict {
    const resetMs = remaining === this.rate.quota ? 0 : Math.max(1, Math.ceil(msBeforeNext))
    return {
      allowed,
      limit: this.rate.quota,
      remaining: Math.max(0, remaining),
      retryAfterMs: allowed ? 0 : resetMs,
      resetMs,
      permanent: false,
      atMs,
      via: 'store',
    }
  }

  async settle(settlements: readonly Settlement[]): Promise<void> {
    for (const { charge, verdict, refund } of settlements) {
      // After its window a reward would be a credit in the next one.
      if (!verdict.allowed || refund === 0 || this.#now() >= verdict.atMs + verdict.resetMs) continue
      await this.#reward(keyOf(charge), Math.min(refund, charge.cost))
    }
  }

  async refund(charges: readonly Charge[]): Promise<void> {
    for (const charge of charges) {
      const found = await this.#limiter.get(keyOf(charge))
      const units = found ? Math.min(charge.cost, resultOf(found).consumedPoints) : 0
      if (units > 0) await this.#reward(keyOf(charge), units)
    }
  }

  async #reward(key: string, units: number): Promise<void> {
    await this.#limiter.reward(key, units)
    this.#blocked.delete(key)
  }

  /** There are no permits in a fixed window. */
  renew(): void {}

  async reset(charges: readonly Charge[]): Promise<void> {
    for (const charge of charges) {
      await this.#limiter.delete(keyOf(charge))
      this.#blocked.delete(keyOf(charge))
    }
  }

  usage() {
    return { entries: this.#blocked.size, evictions: 0, overflowed: 0 }
  }

  /** The connection belongs to the application. */
  close(): void {
    this.#blocked.clear()
  }

  #block(key: string, untilMs: number): void {
    this.#blocked.delete(key)
    if (this.#blocked.size >= maxBlocked) this.#blocked.delete(this.#blocked.keys().next().value!)
    this.#blocked.set(key, untilMs)
  }

  #now(): number {
    return Math.floor(this.#clock.now())
  }
}

/** A key that every database takes: names of policies may hold anything, and some allow 250 bytes without spaces. */
function keyOf({ key }: Charge): string {
  return /^[\w:.-]{1,120}$/.test(key) ? key : digest(key)
}

function isResult(value: unknown): value is FlexibleResult {
  if (typeof value !== 'object' || value === null || value instanceof Error) return false
  const { remainingPoints, msBeforeNext } = value as Partial<FlexibleResult>
  return typeof remainingPoints === 'number' && typeof msBeforeNext === 'number'
}

function resultOf(value: unknown): FlexibleResult {
  if (isResult(value)) return value
  throw new SluiceError(
    'ERR_SLUICE_STORE',
    `The rate-limiter-flexible limiter answered ${show(value)}, which is no result.`,
  )
}

/** Its limiters reject with a result where they refuse, and with an error where they fail. Only the first is a refusal. */
function refusalOf(reason: unknown): FlexibleResult {
  if (isResult(reason)) return reason
  if (reason instanceof Error) throw reason
  throw new SluiceError('ERR_SLUICE_STORE', `The rate-limiter-flexible limiter rejected with ${show(reason)}.`)
}
