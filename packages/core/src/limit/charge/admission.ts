import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { RequestContext } from '../../exchange/context.ts'
import type { Opening } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { denialOf, denialReply, quotaFields, refuses } from '../answer/answer.ts'
import { refusalOf } from '../answer/refusal.ts'
import type { Delays } from '../delay/delays.ts'
import { late } from '../policy/callbacks.ts'
import type { Denial } from '../policy/options.ts'
import type { Policy, Price } from '../policy/policy.ts'
import type { Verdict } from '../store/store.ts'
import type { Subject } from '../subject/subjects.ts'
import type { Watch } from '../subject/watch.ts'
import { quotaVerdicts } from './charger.ts'
import { type Charging, type PolicyCharge, withoutMade } from './charges.ts'
import type { LimiterParts } from './parts.ts'
import { reportDecision, reportDenied } from './report.ts'
import { type Mark, RequestMarks } from './request-marks.ts'
import { Settling } from './settle.ts'

/** What an admission asks: the policies of one `limit(...)`, at least one. */
export interface Stage {
  readonly parts: LimiterParts
  readonly policies: readonly Policy[]
  /** Where a policy would rather delay than refuse. */
  readonly delays: Delays | undefined
}

const proceed: Opening = Object.freeze({ kind: 'proceed' })
type Late = typeof late
const none: readonly never[] = Object.freeze([])

/**
 * One request's way through the limiter (admission control, as network engineers call it), and what is known of it so far.
 * The steps, in the order in which they happen; each reads what those before it have found and sets what it finds:
 *
 *     name the subject → price → charge → answer → settle
 *
 * Nothing is waited for where nothing has to be: functions of the application's and remote stores may answer with promises.
 *
 * One is made for each request, so what is private is so by its type only: names with a `#` would make it a third slower.
 */
export class Admission implements Charging {
  readonly parts: LimiterParts
  readonly view: RequestView
  private context: RequestContext | undefined
  /** What limiters in front of this one have done about the same request. */
  private readonly mark: Mark | undefined
  readonly policies: readonly Policy[]
  /** Of the first requests: what was read, and was not there. */
  readonly watch: Watch | undefined
  private readonly delays: Delays | undefined
  /** Policies whose `deny` names the client. */
  private denied: readonly Policy[] = none
  charges: readonly PolicyCharge[] = none
  verdicts: readonly (Verdict | undefined)[] = none
  allowed = true

  constructor({ parts, policies, delays }: Stage, view: RequestView, mark: Mark | undefined) {
    this.parts = parts
    this.view = view
    this.watch = parts.advice.watch(view)
    this.mark = mark
    this.policies = policies
    this.delays = delays
  }

  /** What functions of the application's are given. Most policies have none: their requests need none. */
  get request(): RequestContext {
    this.context ??= new RequestContext(this.watch?.view ?? this.view, undefined, this.parts.identity)
    return this.context
  }

  /** All the steps up to the answer. What is left to settle goes with it, as its exchange. */
  decide(): MaybePromise<Opening> {
    if (this.policies.length === 1) {
      const charges = this.chargesOf(this.policies[0]!)
      return isPromise(charges) ? charges.then((one) => this.charge([one])) : this.charge([charges])
    }
    // By hand, and of their final length: lists that grow are most of what a decision leaves behind.
    const charges = new Array<MaybePromise<readonly PolicyCharge[] | undefined>>(this.policies.length)
    let later = false
    for (let i = 0; i < charges.length; i++) {
      const own = this.chargesOf(this.policies[i]!)
      if (isPromise(own)) later = true
      charges[i] = own
    }
    return later
      ? Promise.all(charges).then((all) => this.charge(all))
      : this.charge(charges as (readonly PolicyCharge[] | undefined)[])
  }

  /** One policy's charges: none where it skips the request, `undefined` where it has no price for it. */
  private chargesOf(policy: Policy): MaybePromise<readonly PolicyCharge[] | undefined> {
    if ((policy.allow || policy.deny) && this.listed(policy)) return none
    return policy.skip ? this.unlessSkipped(policy) : this.priced(policy)
  }

  /** Whether a list says all there is to say of this client: it is let pass, or refused. */
  private listed(policy: Policy): boolean {
    const address = this.view.clientIp
    if (policy.allow?.has(address)) return true
    if (!policy.deny?.has(address)) return false
    this.denied = [...this.denied, policy]
    return true
  }

  private unlessSkipped(policy: Policy): MaybePromise<readonly PolicyCharge[] | undefined> {
    const skips = this.parts.pricing.skips(policy, this.request)
    return chain(skips, (yes) => {
      if (yes === late && policy.onOutage !== 'local') return policy.onOutage === 'open' ? none : undefined
      return yes === true ? none : this.priced(policy)
    })
  }

  private priced(policy: Policy): MaybePromise<readonly PolicyCharge[] | undefined> {
    const { naming, pricing } = this.parts
    const subject = policy.byIp
      ? naming.byAddress(policy, this.view.clientIp, this.view)
      : naming.subject(policy, this.request)
    const price = policy.price ?? pricing.price(policy, this.request)
    return isPromise(subject) || isPromise(price)
      ? this.pricedLater(policy, subject, price)
      : this.charged(policy, subject, price)
  }

  private async pricedLater(
    policy: Policy,
    subject: MaybePromise<Subject | Late>,
    price: MaybePromise<Price | Late | undefined>,
  ) {
    return this.charged(policy, await subject, await price)
  }

  /**
   * A function that does not answer is like a store that is out: with `open` its policy lets the request pass, with `closed` it
   * does not, and with `local` it counts with what is known.
   */
  private charged(
    policy: Policy,
    subject: Subject | Late,
    price: Price | Late | undefined,
  ): readonly PolicyCharge[] | undefined {
    const { naming, pricing, charges } = this.parts
    if (subject !== late && price !== late) return price && charges.of(policy, subject, price)
    if (policy.onOutage !== 'local') return policy.onOutage === 'open' ? none : undefined
    const known = price === late ? pricing.fallback(policy) : price
    return known && charges.of(policy, subject === late ? naming.unknown(policy, this.request) : subject, known)
  }

  private charge(lists: readonly (readonly PolicyCharge[] | undefined)[]): MaybePromise<Opening> {
    if (this.watch) this.parts.advice.asked(this.policies, this.watch)
    if (this.denied.length > 0) {
      reportDenied(this.parts, this.denied, this.request)
      const denied = this.denied.filter(({ shadow }) => !shadow)
      if (denied.length > 0) return this.forbid(denied)
    }
    if (lists.includes(undefined)) return this.unpriced(this.policies.filter((_, i) => lists[i] === undefined))
    this.charges = this.uncharged(flat(lists as readonly (readonly PolicyCharge[])[]))
    if (this.charges.length === 0) return proceed
    if (this.delays) return chain(this.delays.charge(this), (stay) => (stay === 'left' ? this.left() : this.answer()))
    const charged = this.parts.charger.charge(this)
    return isPromise(charged) ? charged.then(() => this.answer()) : this.answer()
  }

  /** A bucket that an earlier limiter has charged for this request is not charged again. */
  private uncharged(charges: readonly PolicyCharge[]): readonly PolicyCharge[] {
    const mark = this.mark
    return mark ? withoutMade(charges, mark.made) : charges
  }

  /** The answer where the charges are made already, and decided. */
  decided(charges: readonly PolicyCharge[], verdicts: readonly Verdict[]): MaybePromise<Opening> {
    this.charges = charges
    this.verdicts = verdicts
    this.allowed = verdicts.every((verdict, i) => verdict.allowed || charges[i]!.quota.shadow)
    return this.answer()
  }

  private answer(): MaybePromise<Opening> {
    const { parts } = this
    reportDecision(parts, this, this.view)
    if (!this.allowed) return this.refuse()
    const told = this.mark ? [...RequestMarks.told(this.mark), ...quotaVerdicts(this)] : quotaVerdicts(this)
    parts.marks.add(this.view.incoming ?? this.view.native, this)
    return { kind: 'proceed', fields: quotaFields(told, parts.clock), exchange: Settling.of(this) }
  }

  private refuse(): MaybePromise<Opening> {
    const mark = this.mark
    const told = mark ? [...RequestMarks.toldBack(mark), ...quotaVerdicts(this)] : quotaVerdicts(this)
    // A refused request charges nothing anywhere: neither what limiters in front of this one took.
    if (mark) this.parts.charger.giveBack(mark.made.splice(0))
    const policy = this.charges.find((charge, i) => charge.policy.refusing && this.refused(charge, i))?.policy
    return refusalOf(this.parts, { denial: denialOf(this.request, told), told, policy })
  }

  /**
   * The client has gone while it was delayed. Nobody sees this answer, so nobody is asked for it: it ends the request, and
   * the handler does not run. What limits in front have taken of one that was never charged here is given back, as of any
   * that does not go on.
   */
  private left(): Opening {
    const { charger, clock } = this.parts
    if (this.mark && !this.allowed) charger.giveBack(this.mark.made.splice(0))
    const told = quotaVerdicts(this)
    return { kind: 'reply', reply: denialReply(denialOf(this.request, told), { told, clock }) }
  }

  private refused({ quota }: PolicyCharge, i: number): boolean {
    const verdict = this.verdicts[i]
    return verdict !== undefined && refuses({ quota, verdict })
  }

  /** The client is on the list of those to be refused: 403 (RFC 9110 §15.5.4), and nothing is charged. */
  private forbid(policies: readonly Policy[]): MaybePromise<Opening> {
    const mark = this.mark
    if (mark) this.parts.charger.giveBack(mark.made.splice(0))
    const violated = policies.map(({ name }) => name)
    const retryAfterMs = Number.POSITIVE_INFINITY
    return this.refuseUncharged(policies, { status: 403, violated, permanent: true, retryAfterMs })
  }

  /** A policy whose rate is not known is like one whose store is out and that says `closed`: never no limit. */
  private unpriced(policies: readonly Policy[]): MaybePromise<Opening> {
    reportDenied(this.parts, policies, this.request)
    const violated = policies.map(({ name }) => name)
    return this.refuseUncharged(policies, { status: 503, violated, permanent: false, retryAfterMs: 1_000 })
  }

  private refuseUncharged(
    policies: readonly Policy[],
    why: Pick<Denial, 'status' | 'violated' | 'permanent' | 'retryAfterMs'>,
  ): MaybePromise<Opening> {
    const denial = { ...why, request: this.request, banned: false, verdicts: [] }
    return refusalOf(this.parts, { denial, told: none, policy: policies.find(({ refusing }) => refusing) })
  }
}

/** By hand: `flat()` takes half a microsecond. */
function flat(lists: readonly (readonly PolicyCharge[])[]): readonly PolicyCharge[] {
  if (lists.length === 1) return lists[0]!
  let count = 0
  for (let i = 0; i < lists.length; i++) count += lists[i]!.length
  const all = new Array<PolicyCharge>(count)
  let at = 0
  for (let i = 0; i < lists.length; i++) for (let n = 0; n < lists[i]!.length; n++) all[at++] = lists[i]![n]!
  return all
}
