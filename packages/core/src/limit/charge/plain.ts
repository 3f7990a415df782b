import type { RequestView } from '../../exchange/request-view.ts'
import { quotaFields } from '../answer/answer.ts'
import type { PolicyOptions } from '../policy/options.ts'
import type { AnsweringQuota, Policy, Price } from '../policy/policy.ts'
import type { Charge, Verdict } from '../store/store.ts'
import { Admission, type Stage } from './admission.ts'
import type { PolicyCharge } from './charges.ts'

/**
 * What a policy may say and still be plain: nothing is asked of the application, nothing but the rate decides, and nothing
 * is left to settle. Exhaustive by its type: whoever adds an option has to say here whether a plain admission knows of it.
 */
const plainOptions: Readonly<Record<keyof PolicyOptions, boolean>> = {
  rate: true,
  name: true,
  algorithm: true,
  burst: true,
  // By address, and a number: that is looked at besides.
  key: true,
  cost: true,
  ipv6Prefix: true,
  headers: true,
  // Of refusals, which are not plain.
  respond: true,
  phase: true,
  // Of functions and of stores that may be late.
  onOutage: true,
  share: true,
  lease: true,
  deadline: true,
  store: true,
  defaultRate: false,
  countIf: false,
  skip: false,
  allow: false,
  deny: false,
  shadow: false,
  per: false,
  permitTtl: false,
  slowDown: false,
  ban: false,
  warnAt: false,
  timeZone: true,
  refuse: true,
  status: true,
  redirect: true,
}

/**
 * The common case: one policy of one rate, by address, in a store that decides at once. What an {@link Admission} finds out
 * step by step is known beforehand here, so that a request that is let through costs two thirds. Every other request, a refused
 * one too, is an admission.
 */
export class PlainAdmission {
  private readonly stage: Stage
  private readonly policy: Policy
  private readonly quota: AnsweringQuota
  private readonly price: Price
  private readonly consume: (charge: Charge) => Verdict

  private constructor(stage: Stage, policy: Policy, price: Price, consume: (charge: Charge) => Verdict) {
    this.stage = stage
    this.policy = policy
    this.price = price
    this.quota = price.quotas[0]!
    this.consume = consume
  }

  /** `undefined` where these policies need all the steps. */
  static of(stage: Stage): PlainAdmission | undefined {
    const [policy, ...others] = stage.policies
    if (!policy || others.length > 0 || !policy.byIp || policy.perRoute || !onlyPlain(policy)) return undefined
    const { price } = policy
    if (price?.quotas.length !== 1 || price.quotas[0]!.algorithm.kind === 'concurrent') return undefined
    const consume = stage.parts.charger.atOnce(policy)
    return consume && new PlainAdmission(stage, policy, price, consume)
  }

  /** Whether there is nothing else to see to just now: no advice to be given, nobody who listens, no limiter beside this one. */
  get ready(): boolean {
    const { advice, marks, sink } = this.stage.parts
    return advice.given && !marks.needed && !sink.wants('allowed')
  }

  /** Charges the request, and lets it through where it fits. */
  open(view: RequestView): ReturnType<Admission['decide']> {
    const { quota, policy } = this
    const { naming, charges, clock, counters } = this.stage.parts
    const charge: PolicyCharge = charges.first(policy, naming.byAddress(policy, view.clientIp, view), this.price)
    const verdict = this.consume(charge)
    if (!verdict.allowed) return new Admission(this.stage, view, undefined).decided([charge], [verdict])
    policy.counters.allowed++
    counters.allowed++
    return { kind: 'proceed', exchange: undefined, fields: quotaFields([{ quota, verdict }], clock) }
  }
}

function onlyPlain({ input }: Policy): boolean {
  if (typeof input === 'string') return true
  return Object.keys(input).every((name) => {
    const option = name as keyof PolicyOptions
    return plainOptions[option] || input[option] === undefined
  })
}
