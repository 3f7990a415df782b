import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../base/clock.ts'
import { optionError, SluiceError } from '../base/errors.ts'

import { isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { checkOptions, checkSecret, rule } from '../base/options.ts'
import type { Identity } from '../exchange/client/identity.ts'
import type { Pipeline } from '../exchange/exchange.ts'
import { type Ban, type BanRequest, type BanSubject, Bans } from './bans/bans.ts'
import { Charger } from './charge/charger.ts'
import { Charges } from './charge/charges.ts'
import { type LimitPipeline, limitPipeline } from './charge/limit-pipeline.ts'
import type { LimiterParts } from './charge/parts.ts'
import { Permits } from './charge/permits.ts'
import { Pricing } from './charge/pricing.ts'
import { RequestMarks } from './charge/request-marks.ts'
import { type CheckOptions, type CheckResult, Checks } from './checks.ts'
import { Delays } from './delay/delays.ts'
import { Lines } from './delay/lines.ts'
import { type LimitSink, nobody } from './events.ts'
import { LimitCounters, type LimitStats } from './limiter-stats.ts'
import { Callbacks } from './policy/callbacks.ts'
import { checkHeaders, type HeaderStyle, type PolicyInput } from './policy/options.ts'
import { Policies } from './policy/policies.ts'
import type { Policy } from './policy/policy.ts'
import { guardedStore } from './store/guarded-store.ts'
import { MemoryLimitStore } from './store/memory-limit-store.ts'
import type { LimitStore, Verdict } from './store/store.ts'
import { Advice } from './subject/advice.ts'
import { Naming } from './subject/naming.ts'
import { keyedHash } from './subject/subjects.ts'

export interface LimiterOptions {
  /** Policies by name. */
  readonly limits?: Readonly<Record<string, PolicyInput>> | undefined
  /** The fields policies send unless they say otherwise. Default `draft-11`. */
  readonly headers?: HeaderStyle | undefined
  readonly clock?: Clock | undefined
  /** Default: memory, 100,000 keys. */
  readonly store?: LimitStore | undefined
  /** Where events go. Default: nowhere. */
  readonly events?: LimitSink | undefined
  /** How `by.user` names a signed-in user. Default: by the usual names. */
  readonly identity?: Identity | undefined
  /** What keys are hashed with. Default: the store's, else random. Processes that share a store must share it. */
  readonly secret?: string | undefined
  /** How long a remote store may take to decide, in milliseconds. Default: what the store says, else 100. */
  readonly deadlineMs?: number | undefined
}

export interface Limiter {
  /**
   * A stage that counts requests against these policies, together: names from `limits`, rates, or policies given in
   * place. Reuse it, do not make one per request.
   *
   * @throws SluiceError `ERR_SLUICE_POLICY` for an unknown name, `ERR_SLUICE_RATE`, `ERR_SLUICE_OPTION`
   */
  pipeline(...policies: readonly PolicyInput[]): LimitPipeline
  /** A stage whose requests are not limited: neither by limiters behind it, nor (given back) by those before it. */
  exempt(): Pipeline
  /** Charges a policy without a request: jobs, web sockets. At once in memory. */
  check(name: string, options: CheckOptions): MaybePromise<CheckResult>
  /** What `check` would answer, charging nothing. */
  peek(name: string, options: CheckOptions): MaybePromise<Verdict>
  /** Gives units back that `check` or a request took: the newest. Not for concurrencies, which are released. */
  refund(name: string, options: CheckOptions): MaybePromise<void>
  /** Forgets what a key has used; without one, what all keys of the policy have used, and answers for how many. */
  reset(name: string, options: Pick<CheckOptions, 'key' | 'rate' | 'route'>): MaybePromise<void>
  reset(name: string): MaybePromise<number>
  /**
   * Shuts a key out of a policy that has a `ban` (`'by-hand'` is enough), in all processes and from now on, in place of a ban
   * that holds. It counts as one of its bans.
   *
   * @throws SluiceError `ERR_SLUICE_OPTION`; `ERR_SLUICE_STORE` where the store is out, or has no room
   */
  ban(name: string, request: BanRequest): MaybePromise<Ban>
  /**
   * Lets a key in again, in all processes, and forgets its refusals and bans; answers whether it was shut out. What it has used of
   * its quotas stays used: see `reset`, which in turn lifts no ban. Takes an entry of `bans()`, too.
   */
  unban(name: string, who: BanSubject): MaybePromise<boolean>
  /** The bans that hold now, of one policy or of all; the one that is over first comes first. */
  bans(name?: string): MaybePromise<readonly Ban[]>
  /**
   * What the hash of a subject, as events and `bans()` have it, was made of: an address, the name of a user. `undefined` where this
   * process does not remember it. For who is allowed to see that.
   */
  keyOf(name: string, subject: string): string | undefined
  stats(): LimitStats
  /** Gives every permit back and closes the store. */
  close(): MaybePromise<void>
}

/**
 * Rate limiting without a framework.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_RATE` for configuration that makes no sense
 * @example
 * ```ts
 * const limiter = createLimiter({ limits: { mail: '5 per 15 minutes' } })
 * const { allowed, retryAfterMs } = await limiter.check('mail', { key: user.id })
 * ```
 */
export function createLimiter(options: LimiterOptions = {}): Limiter {
  checkOptions<LimiterOptions>('', options, {
    limits: rule.object,
    headers: checkHeaders,
    clock: rule.object,
    store: rule.object,
    events: rule.object,
    identity: rule.object,
    secret: rule.string,
    deadlineMs: rule.positiveInteger,
  })
  checkSecret('secret', options.secret)
  const clock = options.clock ?? systemClock()
  const sink = options.events ?? nobody
  const counters = new LimitCounters()
  const failed = (error: unknown, policies: readonly string[]): void => {
    counters.storeErrors++
    if (sink.wants('store-error')) sink.emit('store-error', { error, policies })
  }
  const guards = new Map<LimitStore, LimitStore>()
  const guarded = (store: LimitStore): LimitStore => {
    if (store.kind === 'local') return store
    let guard = guards.get(store)
    if (!guard) {
      const deadlineMs = options.deadlineMs ?? store.deadlineMs ?? 100
      guard = guardedStore(store, { clock, deadlineMs, failed, sink })
      guards.set(store, guard)
    }
    return guard
  }

  const given: LimitStore = options.store ?? new MemoryLimitStore(clock)
  const store = guarded(given)
  const callbacks = new Callbacks(sink, clock)
  // A remote store without a secret of its own: every process must come to the same keys.
  const secret = options.secret ?? given.secret ?? (given.kind === 'remote' ? 'sluice' : undefined)
  const naming = new Naming(callbacks, keyedHash(secret))
  const charges = new Charges(`${randomBytes(9).toString('base64url')}:`)
  const permits = new Permits(clock, (on, charges) => {
    try {
      const done = on.renew(charges, true)
      if (isPromise(done)) done.then(undefined, (error) => failed(error, []))
    } catch (error) {
      failed(error, [])
    }
  })
  const storeOf = (policy: Policy): LimitStore => (policy.store ? guarded(policy.store) : store)
  const lines = new Lines()
  const charger = new Charger(storeOf, permits, failed, (key) => lines.freed(key))
  const delays = new Delays({ clock, charger, charges, permits, lines, sink, counters })
  const marks = new RequestMarks()
  const policies = new Policies(options.limits ?? {}, { headers: options.headers ?? 'draft-11', store: given })
  const parts: LimiterParts = {
    clock,
    sink,
    callbacks,
    naming,
    pricing: new Pricing(callbacks),
    charges,
    charger,
    delays,
    marks,
    counters,
    advice: new Advice(),
    split: policies.split,
    identity: options.identity,
  }
  const checks = new Checks({ ...parts, policies, permits, storeOf, lines })
  const bans = new Bans({ clock, sink, naming, policies, storeOf })
  let pipelines = 0
  let closed = false

  function opened<T>(asked: T): T {
    if (closed) throw new SluiceError('ERR_SLUICE_CLOSED', 'The limiter is closed. Do not use it after `close()`.')
    return asked
  }

  async function closeAll(): Promise<void> {
    const back = permits.close().map(async ({ charge, verdict, store: on }) => {
      await on.settle([{ charge, verdict, refund: charge.cost }])
    })
    for (const { reason } of (await Promise.allSettled(back)).filter((one) => one.status === 'rejected'))
      failed(reason, [])
    await Promise.all([...new Set([store, ...guards.values()])].map((one) => one.close()))
  }

  return Object.freeze<Limiter>({
    pipeline(...inputs) {
      if (inputs.length === 0) throw optionError('limit(...)', 'must be given at least one policy', undefined)
      if (++pipelines > 1) marks.needed = true
      return limitPipeline(parts, [...new Set(inputs.map((input) => policies.of(input)))])
    },
    exempt() {
      marks.needed = true
      return Object.freeze<Pipeline>({
        name: 'exempt',
        atFront: 'runs',
        open(view) {
          charger.giveBack(marks.exempt(view.incoming ?? view.native))
          return { kind: 'proceed' }
        },
      })
    },
    check: (name, check) => opened(checks).check(name, check),
    peek: (name, check) => opened(checks).peek(name, check),
    refund: (name, check) => opened(checks).refund(name, check),
    reset: ((name: string, check?: CheckOptions) =>
      check === undefined ? opened(checks).resetPolicy(name) : opened(checks).reset(name, check)) as Limiter['reset'],
    ban: (name, request) => opened(bans).ban(name, request),
    unban: (name, who) => opened(bans).unban(name, who),
    bans: (name) => opened(bans).list(name),
    keyOf: (name, subject) => naming.textOf(name, subject),
    stats: () => counters.read({ permits: permits.size, waiting: delays.size }, permits.occupied(), policies, store),
    close() {
      if (closed) return
      closed = true
      delays.close()
      return closeAll()
    },
  })
}
