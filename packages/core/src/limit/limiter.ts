import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../base/clock.ts'
import { optionError, SluiceError } from '../base/errors.ts'
import { chain, isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { checkOptions, rule, suggest } from '../base/options.ts'
import type { NaturalKey } from '../exchange/client/natural-key.ts'
import type { Pipeline } from '../exchange/exchange.ts'
import { refuses } from './answer/answer.ts'
import { Charger, quotaVerdicts, strictest } from './charge/charger.ts'
import { Charges, type Charging, type PolicyCharge } from './charge/charges.ts'
import { type LimitPipeline, limitPipeline } from './charge/limit-pipeline.ts'
import type { LimiterParts } from './charge/parts.ts'
import { Permits } from './charge/permits.ts'
import { Pricing } from './charge/pricing.ts'
import { reportDecision } from './charge/report.ts'
import { RequestMarks } from './charge/request-marks.ts'
import { type LimitSink, nobody } from './events.ts'
import { LimitCounters, type LimitStats } from './limiter-stats.ts'
import { Callbacks } from './policy/callbacks.ts'
import { Labels } from './policy/labels.ts'
import { checkHeaders, type HeaderStyle, type PolicyInput, type PolicyOptions } from './policy/options.ts'
import { type Policy, type Price, resolvePolicy, unknownPolicy } from './policy/policy.ts'
import { looksLikeRate, parseRate, rateText } from './policy/rate.ts'
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

/** Whom to charge, without a request. */
export interface CheckOptions {
  /**
   * Whom: by the natural name that requests have, whatever the policy's key function makes of it. An address in any notation, a
   * user's id, an e-mail address, a field's value, a route (`GET /cities/:id`); of `by(a, b)` a list of them. Of a function of
   * your own: what it answers.
   */
  readonly key: NaturalKey
  /** Of a policy that is split by route: which, `GET /cities/:id`. `reset` frees all of them without it. */
  readonly route?: string | undefined
  /** Units. Default: the policy's cost where that is a number, else 1. */
  readonly cost?: number | undefined
  /** The rate, where the policy's is a function of the request. */
  readonly rate?: string | undefined
}

/** A verdict on its own: of several rates the one that refuses longest, else the one with the least left. */
export type CheckResult = Verdict & {
  /** Gives the permit of a concurrency back. It stays out, and is prolonged, until this is called. */
  readonly release?: () => void
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
      guard = guardedStore(store, { clock, deadlineMs: options.deadlineMs ?? store.deadlineMs ?? 100, failed })
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
  const charger = new Charger((policy) => (policy.store ? guarded(policy.store) : store), permits, failed)
  const marks = new RequestMarks()
  const split = new Set<string>()
  const pricing = new Pricing(callbacks)
  const parts: LimiterParts = {
    clock,
    sink,
    callbacks,
    naming,
    pricing,
    charges,
    charger,
    marks,
    counters,
    advice: new Advice(),
    split,
  }

  const labels = new Labels(Object.keys(options.limits ?? {}))
  const defaults = { headers: options.headers ?? 'draft-11', store: given, labels }
  const policies = new Map<string, Policy>()
  const configured = new Set<string>()
  for (const [name, input] of Object.entries(options.limits ?? {})) {
    if (name === '') throw optionError('limits', 'must have names for its policies', name)
    const policy = resolvePolicy(name, input, defaults)
    policies.set(name, policy)
    if (policy.perRoute) split.add(name)
    configured.add(name)
  }
  let pipelines = 0
  let closed = false

  /** A name, a rate, or a policy given in place; the same name is the same bucket wherever it is mounted. */
  function policyOf(input: PolicyInput): Policy {
    if (typeof input === 'string') {
      const known = policies.get(input)
      if (known) return known
      if (!looksLikeRate(input)) throw unknownPolicy(input, suggest(input, [...configured]))
    }
    const policy = resolvePolicy(undefined, input, defaults)
    const known = policies.get(policy.name)
    if (known && known.input !== input && !same(known.input, input)) {
      throw new SluiceError(
        'ERR_SLUICE_POLICY',
        `Two different policies are both called ${JSON.stringify(policy.name)}, and would share a bucket. Give one of them a \`name\`.`,
      )
    }
    if (known) return known
    policies.set(policy.name, policy)
    if (policy.perRoute) split.add(policy.name)
    return policy
  }

  function named(name: string): Policy {
    if (closed) throw new SluiceError('ERR_SLUICE_CLOSED', 'The limiter is closed. Do not use it after `close()`.')
    const policy = policies.get(name)
    if (!policy) throw unknownPolicy(String(name), suggest(String(name), [...configured]))
    return policy
  }

  /** The policy, once it is certain that the question makes sense. */
  function asked(name: string, { key, cost, rate, route }: CheckOptions): Policy {
    const policy = named(name)
    if (!isKey(key) && !(Array.isArray(key) && key.every(isKey))) {
      throw optionError('key', 'must be a string, or a list of them: what the policy counts by', key)
    }
    if (cost !== undefined && !(Number.isSafeInteger(cost) && cost >= 0)) {
      throw optionError('cost', 'must be a whole number of 0 or more', cost)
    }
    if (policy.perRoute && route === undefined) {
      throw optionError(
        'route',
        `must be given: policy \`${name}\` has a quota for each route, such as 'GET /cities/:id'`,
        route,
      )
    }
    if (policy.rate && rate === undefined && !policy.defaultQuotas) {
      throw optionError('rate', `must be given: the rate of policy \`${name}\` is a function of the request`, rate)
    }
    return policy
  }

  function priceOf(policy: Policy, { rate, cost }: CheckOptions): Price {
    if (rate === undefined && cost === undefined && policy.price) return policy.price
    const quotas = rate === undefined ? (policy.defaultQuotas ?? policy.quotas) : policy.quotasOf(rate)
    return { quotas, cost: cost ?? (typeof policy.cost === 'number' ? policy.cost : 1) }
  }

  function chargesFor(policy: Policy, check: CheckOptions): readonly PolicyCharge[] {
    return charges.of(policy, naming.subjectOf(policy, check.key, check.route), priceOf(policy, check))
  }

  /** One quota in memory, and nobody listening: the shortest way, and the least garbage. `undefined` where that is not so. */
  function checkQuickly(policy: Policy, check: CheckOptions): Verdict | undefined {
    if (!store.consumeOne || policy.store || policy.quotas.length !== 1 || check.rate !== undefined) return undefined
    const { shadow, algorithm } = policy.quotas[0]!
    if (shadow || algorithm.kind === 'concurrent' || sink.wants('allowed') || sink.wants('denied')) return undefined
    const subject = naming.subjectOf(policy, check.key, check.route)
    const verdict = store.consumeOne(charges.first(policy, subject, priceOf(policy, check)))
    const outcome = verdict.allowed ? 'allowed' : 'denied'
    counters[outcome]++
    policy.counters[outcome]++
    return verdict
  }

  const storeFor = ([first]: readonly PolicyCharge[]): LimitStore => {
    const own = first!.policy.store
    return own ? guarded(own) : store
  }

  /** The quotas of all routes, and the one that is for none. */
  function resetSplit(policy: Policy, check: CheckOptions): MaybePromise<void> {
    asked(policy.name, { ...check, route: '' })
    return chain(resetAll(policy, naming.subjectOf(policy, check.key).hash), () => undefined)
  }

  /** What the policy's lists say of a client that is named by address. */
  function listedVerdict(policy: Policy, { key }: CheckOptions): Verdict | undefined {
    if (!policy.byIp || (!policy.allow && !policy.deny)) return undefined
    if (policy.allow?.has(String(key))) return noLimit(clock)
    if (!policy.deny?.has(String(key)) || policy.shadow) return undefined
    const retryAfterMs = Number.POSITIVE_INFINITY
    return { ...noLimit(clock), allowed: false, limit: 0, remaining: 0, retryAfterMs, permanent: true }
  }

  /** @param subject - of that subject only */
  function resetAll(policy: Policy, subject?: string): MaybePromise<number> {
    const on = policy.store ? guarded(policy.store) : store
    if (on.resetAll) return on.resetAll(policy.name, subject)
    throw new SluiceError(
      'ERR_SLUICE_STORE',
      `The store of policy \`${policy.name}\` cannot tell its keys. Reset them one by one, by \`key\`.`,
    )
  }

  function checked(decision: Charging): CheckResult {
    reportDecision(parts, decision)
    const told = decision.charges.length === 1 ? undefined : quotaVerdicts(decision)
    const charge = decision.charges[0]!
    const { quota, verdict } = told ? strictest(told) : { quota: charge.quota, verdict: decision.verdicts[0]! }
    const held = decision.allowed ? decision.charges.filter(({ permit }) => permit !== '') : []
    if (held.length === 0) return quota.shadow && !verdict.allowed ? { ...verdict, allowed: true } : verdict
    const made = held.map((one) => ({ charge: one, verdict: decision.verdicts[decision.charges.indexOf(one)]! }))
    let released = false
    return {
      ...verdict,
      allowed: true,
      release() {
        if (released) return
        released = true
        charger.giveBack(made)
      },
    }
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
      return limitPipeline(parts, [...new Set(inputs.map(policyOf))])
    },
    exempt() {
      marks.needed = true
      return Object.freeze<Pipeline>({
        name: 'exempt',
        open(view) {
          charger.giveBack(marks.exempt(view.native))
          return { kind: 'proceed' }
        },
      })
    },
    check(name, check) {
      const policy = asked(name, check)
      const listed = listedVerdict(policy, check)
      if (listed) return listed
      const verdict = checkQuickly(policy, check)
      if (verdict) return verdict
      const charging = { charges: chargesFor(policy, check), verdicts: [], allowed: false }
      if (charging.charges.length === 0) return noLimit(clock)
      return chain(charger.charge(charging), () => checked(charging))
    },
    peek(name, check) {
      const listed = listedVerdict(asked(name, check), check)
      if (listed) return listed
      const asking = chargesFor(asked(name, check), check)
      if (asking.length === 0) return noLimit(clock)
      permits.renewIfDue()
      return chain(storeFor(asking).peek(asking), (answered) => {
        const verdicts = charger.expecting(asking, answered)
        const told = asking.map(({ quota }, i) => ({ quota, verdict: verdicts[i]! }))
        const { verdict } = strictest(told)
        return told.some(refuses) === !verdict.allowed ? verdict : { ...verdict, allowed: true }
      })
    },
    refund(name, check) {
      const asking = chargesFor(asked(name, check), check)
      if (asking.length > 0) return storeFor(asking).refund(asking)
    },
    reset: ((name: string, check?: CheckOptions) => {
      const policy = named(name)
      if (check === undefined) return resetAll(policy)
      if (check.route === undefined && split.has(name)) return resetSplit(policy, check)
      const asking = chargesFor(asked(name, check), check)
      if (asking.length > 0) return storeFor(asking).reset(asking)
    }) as Limiter['reset'],
    stats: () => counters.read(permits.size, policies, store),
    close() {
      if (closed) return
      closed = true
      return closeAll()
    },
  })
}

function isKey(key: unknown): boolean {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint'
}

/** The verdict of a policy whose rate is `unlimited`. */
function noLimit(clock: Clock): Verdict {
  const all = Number.POSITIVE_INFINITY
  const atMs = Math.floor(clock.now())
  return {
    allowed: true,
    limit: all,
    remaining: all,
    retryAfterMs: 0,
    resetMs: 0,
    permanent: false,
    atMs,
    via: 'store',
  }
}

/** Whether two inputs are the same policy: the same object, or objects (and rates) that say the same. */
function same(a: PolicyInput, b: PolicyInput): boolean {
  const [left, right] = [a, b].map((input) => (typeof input === 'string' ? { rate: input } : input))
  const keys = new Set([...Object.keys(left!), ...Object.keys(right!)]) as Set<keyof PolicyOptions>
  for (const key of keys) {
    const [x, y] = [left![key], right![key]]
    if (x === y) continue
    if (key !== 'rate' || typeof x !== 'string' || typeof y !== 'string') return false
    if (rateText(parseRate('rate', x)) !== rateText(parseRate('rate', y))) return false
  }
  return true
}
