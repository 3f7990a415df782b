import type { Clock } from '../base/clock.ts'
import { optionError, SluiceError } from '../base/errors.ts'
import { chain, type MaybePromise } from '../base/maybe-promise.ts'
import type { NaturalKey } from '../exchange/client/natural-key.ts'
import { refuses } from './answer/answer.ts'
import { quotaVerdicts, strictest } from './charge/charger.ts'
import { type Charging, madeOf, type PolicyCharge } from './charge/charges.ts'
import type { LimiterParts } from './charge/parts.ts'
import type { Permits } from './charge/permits.ts'
import { reportDecision } from './charge/report.ts'
import type { Lines } from './delay/lines.ts'
import { checkKey } from './policy/check-key.ts'
import type { Policies } from './policy/policies.ts'
import type { Policy, Price } from './policy/policy.ts'
import type { LimitStore, Verdict } from './store/store.ts'

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

export interface ChecksParts extends LimiterParts {
  readonly policies: Policies
  readonly permits: Permits
  readonly storeOf: (policy: Policy) => LimitStore
  readonly lines: Lines
}

/** What can be asked of a limiter without a request: by the name of a policy and the natural name of a subject. */
export class Checks {
  readonly #parts: ChecksParts

  constructor(parts: ChecksParts) {
    this.#parts = parts
  }

  check(name: string, check: CheckOptions): MaybePromise<CheckResult> {
    const policy = this.#asked(name, check)
    const known = this.#listed(policy, check) ?? this.#checkQuickly(policy, check)
    if (known) return known
    const charging = { charges: this.#chargesFor(policy, check), verdicts: [], allowed: false }
    if (charging.charges.length === 0) return noLimit(this.#parts.clock)
    return chain(this.#parts.charger.charge(charging), () => this.#checked(charging))
  }

  peek(name: string, check: CheckOptions): MaybePromise<Verdict> {
    const { charger, clock, permits, storeOf } = this.#parts
    const policy = this.#asked(name, check)
    const listed = this.#listed(policy, check)
    if (listed) return listed
    const charges = this.#chargesFor(policy, check)
    if (charges.length === 0) return noLimit(clock)
    permits.renewIfDue()
    return chain(storeOf(policy).peek(charges), (answered) => {
      const verdicts = charger.expecting(charges, answered)
      const told = quotaVerdicts({ charges, verdicts })
      if (told.length === 0) return noLimit(clock)
      const { verdict } = strictest(told)
      return told.some(refuses) === !verdict.allowed ? verdict : { ...verdict, allowed: true }
    })
  }

  refund(name: string, check: CheckOptions): MaybePromise<void> {
    const policy = this.#asked(name, check)
    const charges = this.#counted(policy, check)
    if (charges.length === 0) return
    return chain(this.#freeing(this.#parts.storeOf(policy).refund(charges)), () => {
      policy.counters.refunded++
    })
  }

  reset(name: string, check: CheckOptions): MaybePromise<void> {
    const { policies, storeOf } = this.#parts
    const policy = policies.named(name)
    if (check.route === undefined && policies.split.has(name)) return this.#resetSplit(policy, check)
    const charges = this.#counted(this.#asked(name, check), check)
    if (charges.length > 0) return this.#freeing(storeOf(policy).reset(charges))
  }

  resetPolicy(name: string): MaybePromise<number> {
    return this.#resetAll(this.#parts.policies.named(name))
  }

  /** The quotas of all routes, and the one that is for none. */
  #resetSplit(policy: Policy, check: CheckOptions): MaybePromise<void> {
    this.#asked(policy.name, { ...check, route: '' })
    const { hash } = this.#parts.naming.subjectOf(policy, check.key)
    return chain(this.#resetAll(policy, hash), () => undefined)
  }

  /** Who waits for something that may be there again asks at once. */
  #freeing<T>(done: MaybePromise<T>): MaybePromise<T> {
    return chain(done, (result) => {
      this.#parts.lines.freedAll()
      return result
    })
  }

  /** @param subject - of that subject only */
  #resetAll(policy: Policy, subject?: string): MaybePromise<number> {
    const store = this.#parts.storeOf(policy)
    if (store.resetAll) return this.#freeing(store.resetAll(policy.name, subject))
    throw new SluiceError(
      'ERR_SLUICE_STORE',
      `The store of policy \`${policy.name}\` cannot tell its keys. Reset them one by one, by \`key\`.`,
    )
  }

  /** The policy, once it is certain that the question makes sense. */
  #asked(name: string, { key, cost, rate, route }: CheckOptions): Policy {
    const policy = this.#parts.policies.named(name)
    checkKey(key)
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

  #priceOf(policy: Policy, { rate, cost }: CheckOptions): Price {
    if (rate === undefined && cost === undefined && policy.price) return policy.price
    const quotas = rate === undefined ? (policy.defaultQuotas ?? policy.quotas) : policy.quotasOf(rate)
    return { quotas, cost: cost ?? (typeof policy.cost === 'number' ? policy.cost : 1) }
  }

  #chargesFor(policy: Policy, check: CheckOptions): readonly PolicyCharge[] {
    const { charges, naming } = this.#parts
    return charges.of(policy, naming.subjectOf(policy, check.key, check.route), this.#priceOf(policy, check))
  }

  /** What is used of quotas: to give back and to forget, which lifts no ban. */
  #counted(policy: Policy, check: CheckOptions): readonly PolicyCharge[] {
    return this.#chargesFor(policy, check).filter(({ quota }) => quota !== policy.ban)
  }

  /** One quota in memory, and nobody listening: the shortest way, and the least garbage. `undefined` where that is not so. */
  #checkQuickly(policy: Policy, check: CheckOptions): Verdict | undefined {
    const { charges, counters, naming, sink, storeOf } = this.#parts
    if (policy.quotas.length !== 1 || policy.ban || check.rate !== undefined) return undefined
    const store = storeOf(policy)
    const { shadow, algorithm, warnAt } = policy.quotas[0]!
    if (!store.consumeOne || shadow || algorithm.kind === 'concurrent' || warnAt !== undefined) return undefined
    if (sink.wants('allowed') || sink.wants('denied')) return undefined
    const subject = naming.subjectOf(policy, check.key, check.route)
    const verdict = store.consumeOne(charges.first(policy, subject, this.#priceOf(policy, check)))
    const outcome = verdict.allowed ? 'allowed' : 'denied'
    counters[outcome]++
    policy.counters[outcome]++
    return verdict
  }

  /** What the policy's lists say of a client that is named by address. */
  #listed(policy: Policy, { key }: CheckOptions): Verdict | undefined {
    if (!policy.byIp || (!policy.allow && !policy.deny)) return undefined
    const { clock } = this.#parts
    if (policy.allow?.has(String(key))) return noLimit(clock)
    if (!policy.deny?.has(String(key)) || policy.shadow) return undefined
    const retryAfterMs = Number.POSITIVE_INFINITY
    return { ...noLimit(clock), allowed: false, limit: 0, remaining: 0, retryAfterMs, permanent: true }
  }

  #checked(decided: Charging): CheckResult {
    const { charger } = this.#parts
    reportDecision(this.#parts, decided)
    const told = quotaVerdicts(decided)
    if (told.length === 0) return noLimit(this.#parts.clock)
    const { quota, verdict } = strictest(told)
    const held = decided.allowed ? madeOf(decided, ({ permit }) => permit !== '') : []
    if (held.length === 0) return quota.shadow && !verdict.allowed ? { ...verdict, allowed: true } : verdict
    let released = false
    return {
      ...verdict,
      allowed: true,
      release() {
        if (released) return
        released = true
        charger.giveBack(held)
      },
    }
  }
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
