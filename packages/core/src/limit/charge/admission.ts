import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { RequestContext } from '../../exchange/context.ts'
import type { Opening } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { denialOf, denialReply, type QuotaVerdict, quotaFields, refuses } from '../answer/answer.ts'
import { type Asked, late, threw } from '../policy/callbacks.ts'
import type { Denial, DenialBody } from '../policy/options.ts'
import type { Policy, Price } from '../policy/policy.ts'
import type { Verdict } from '../store/store.ts'
import type { Subject } from '../subject/subjects.ts'
import type { Watch } from '../subject/watch.ts'
import { quotaVerdicts } from './charger.ts'
import type { Charging, PolicyCharge } from './charges.ts'
import type { LimiterParts } from './parts.ts'
import { reportDecision, reportDenied } from './report.ts'
import { type Mark, RequestMarks } from './request-marks.ts'
import { Settling } from './settle.ts'

/** What an admission asks: the policies of one `limit(...)`, at least one. */
export interface Stage {
  readonly parts: LimiterParts
  readonly policies: readonly Policy[]
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
  readonly request: RequestContext
  /** What limiters in front of this one have done about the same request. */
  private readonly mark: Mark | undefined
  readonly policies: readonly Policy[]
  /** Of the first requests: what was read, and was not there. */
  readonly watch: Watch | undefined
  /** Policies whose `deny` names the client. */
  private denied: readonly Policy[] = none
  charges: readonly PolicyCharge[] = none
  verdicts: readonly (Verdict | undefined)[] = none
  allowed = true

  constructor({ parts, policies }: Stage, view: RequestView, mark: Mark | undefined) {
    this.parts = parts
    this.view = view
    this.watch = parts.advice.watch(view)
    this.request = new RequestContext(this.watch?.view ?? view, undefined, parts.identity)
    this.mark = mark
    this.policies = policies
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
    const subject = naming.subject(policy, this.request)
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
    const charged = this.parts.charger.charge(this)
    return isPromise(charged) ? charged.then(() => this.answer()) : this.answer()
  }

  /** A bucket that an earlier limiter has charged for this request is not charged again. */
  private uncharged(charges: readonly PolicyCharge[]): readonly PolicyCharge[] {
    const mark = this.mark
    return mark ? charges.filter(({ key }) => !mark.made.some(({ charge }) => charge.key === key)) : charges
  }

  private answer(): MaybePromise<Opening> {
    const { parts } = this
    reportDecision(parts, this, this.request)
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
    const policy = this.charges.find((charge, i) => charge.policy.respond && this.refused(charge, i))?.policy
    return this.reply(denialOf(this.request, told), policy, told)
  }

  private refused({ quota }: PolicyCharge, i: number): boolean {
    const verdict = this.verdicts[i]
    return verdict !== undefined && refuses({ quota, verdict })
  }

  /** With the body the policy wants; where there is none to be had, with ours. */
  private reply(denial: Denial, policy: Policy | undefined, told: readonly QuotaVerdict[]): MaybePromise<Opening> {
    const { callbacks, clock } = this.parts
    const standard = (): Opening => ({ kind: 'reply', reply: denialReply(denial, { told, clock }) })
    if (!policy) return standard()
    const respond = policy.respond!
    const own = (body: DenialBody): Opening => ({ kind: 'reply', reply: denialReply(denial, { told, clock }, body) })
    return chain(
      callbacks.ask(policy, 'respond', () => respond(denial)),
      (body) => {
        if (body === undefined || body === threw || body === late) return standard()
        const reply = callbacks.ask(policy, 'respond', () => own(body)) as Asked<Opening>
        return reply === threw || reply === late ? standard() : reply
      },
    )
  }

  /** The client is on the list of those to be refused: 403 (RFC 9110 §15.5.4), and nothing is charged. */
  private forbid(policies: readonly Policy[]): MaybePromise<Opening> {
    const mark = this.mark
    if (mark) this.parts.charger.giveBack(mark.made.splice(0))
    const violated = policies.map(({ name }) => name)
    const retryAfterMs = Number.POSITIVE_INFINITY
    const denial = { request: this.request, status: 403, violated, permanent: true, retryAfterMs, verdicts: [] }
    return this.reply(
      denial,
      policies.find(({ respond }) => respond),
      none,
    )
  }

  /** A policy whose rate is not known is like one whose store is out and that says `closed`: never no limit. */
  private unpriced(policies: readonly Policy[]): Opening {
    reportDenied(this.parts, policies, this.request)
    const violated = policies.map(({ name }) => name)
    const denial = { request: this.request, status: 503, violated, permanent: false, retryAfterMs: 1_000, verdicts: [] }
    return { kind: 'reply', reply: denialReply(denial, { told: none, clock: this.parts.clock }) }
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
