import type { Clock } from '../../base/clock.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Identity } from '../../exchange/client/identity.ts'
import { RequestContext } from '../../exchange/context.ts'
import type { Exchange, Opening, Pipeline } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { denialOf, denialReply, quotaFields, refuses, type Told } from '../answer/answer.ts'
import type { LimitSink } from '../events.ts'
import type { LimitCounters } from '../limiter-stats.ts'
import type { Callbacks } from '../policy/callbacks.ts'
import type { Policy } from '../policy/policy.ts'
import type { PolicyCharge, Reckoned, Reckoner } from './charges.ts'
import { type Decider, type Decision, toldOf } from './decide.ts'
import { LimitExchange, type Made } from './limit-exchange.ts'
import { type Mark, RequestMarks } from './request-marks.ts'

/** A stage of requests that counts them against one or several policies, charged together or not at all. */
export interface LimitPipeline extends Pipeline {
  /** On Fastify: `preHandler` as soon as one of the policies asks for it. */
  readonly phase: 'onRequest' | 'preHandler'
  /** Every policy says its phase: whoever wrote them knows what there is to read by then. */
  readonly phaseGiven: boolean
  /** The same policies, with a quota of its own for each route: matched pattern and method, never the raw URL. */
  per(what: 'route'): LimitPipeline
}

/** What the pipelines of one limiter share. */
export interface LimiterParts {
  readonly clock: Clock
  readonly sink: LimitSink
  readonly callbacks: Callbacks
  readonly reckoner: Reckoner
  readonly decider: Decider
  readonly marks: RequestMarks
  readonly counters: LimitCounters
  readonly identity: Identity | undefined
}

const proceed: Opening = Object.freeze({ kind: 'proceed' })

/** @param policies - at least one, no name twice */
export function limitPipeline(parts: LimiterParts, policies: readonly Policy[]): LimitPipeline {
  const single = policies.length === 1 ? policies[0] : undefined
  return Object.freeze({
    name: 'limit',
    phase: policies.some(({ phase }) => phase === 'preHandler') ? 'preHandler' : 'onRequest',
    phaseGiven: policies.every(({ phaseGiven }) => phaseGiven),
    per: () =>
      limitPipeline(
        parts,
        policies.map((policy) => Object.freeze({ ...policy, perRoute: true })),
      ),
    open(view: RequestView): MaybePromise<Opening> {
      // A refresh in the background is made by us, for nobody.
      if (view.ticket !== undefined) return proceed
      const mark = parts.marks.get(view.native)
      if (mark?.exempt) return proceed
      const c = new RequestContext(view, undefined, parts.identity)
      if (single) {
        const reckoned = parts.reckoner.reckon(single, c)
        return chain(reckoned, (r) => decide(parts, view, c, policies, [r], mark))
      }
      const all = policies.map((policy) => parts.reckoner.reckon(policy, c))
      return all.some(isPromise)
        ? Promise.all(all).then((r) => decide(parts, view, c, policies, r, mark))
        : decide(parts, view, c, policies, all as Reckoned[], mark)
    },
  } satisfies LimitPipeline)
}

function decide(
  parts: LimiterParts,
  view: RequestView,
  c: RequestContext,
  policies: readonly Policy[],
  reckoned: readonly Reckoned[],
  mark: Mark | undefined,
): MaybePromise<Opening> {
  if (reckoned.includes('unknown-rate')) {
    const unknown = policies.filter((_, i) => reckoned[i] === 'unknown-rate')
    return unavailable(parts, c, unknown)
  }
  let charges = allOf(reckoned as readonly (readonly PolicyCharge[])[])
  // A bucket that an earlier limiter has charged for this request is not charged again.
  if (mark) charges = charges.filter(({ key }) => !mark.made.some(({ charge }) => charge.key === key))
  if (charges.length === 0) return proceed
  return chain(parts.decider.decide(charges), (decision) => answer(parts, view, c, decision, mark))
}

/** By hand: `flat()` takes half a microsecond. */
function allOf(lists: readonly (readonly PolicyCharge[])[]): readonly PolicyCharge[] {
  if (lists.length === 1) return lists[0]!
  const all: PolicyCharge[] = []
  for (const list of lists) for (const charge of list) all.push(charge)
  return all
}

function answer(
  parts: LimiterParts,
  view: RequestView,
  c: RequestContext,
  decision: Decision,
  mark: Mark | undefined,
): MaybePromise<Opening> {
  report(parts, c, decision)
  if (!decision.allowed) {
    const told = mark ? [...RequestMarks.toldBack(mark), ...toldOf(decision)] : toldOf(decision)
    // A refused request charges nothing anywhere: neither what limiters in front of this one took.
    if (mark) parts.decider.giveBack(mark.made.splice(0))
    return deny(parts, c, decision, told)
  }
  const told = mark ? [...RequestMarks.told(mark), ...toldOf(decision)] : toldOf(decision)
  parts.marks.add(view.native, decision.charges, decision.verdicts)
  const fields = quotaFields(told, parts.clock)
  return { kind: 'proceed', fields, exchange: exchangeFor(parts, view, decision) }
}

function exchangeFor(parts: LimiterParts, view: RequestView, decision: Decision): Exchange | undefined {
  if (!LimitExchange.needed(decision.charges)) return undefined
  const made: Made[] = []
  decision.charges.forEach((charge, i) => {
    const verdict = decision.verdicts[i]
    if (verdict?.allowed) made.push({ charge, verdict })
  })
  return new LimitExchange(view, made, parts.callbacks, (back) => parts.decider.giveBack(back))
}

function deny(
  parts: LimiterParts,
  c: RequestContext,
  decision: Decision,
  told: readonly Told[],
): MaybePromise<Opening> {
  const denial = denialOf(c, told)
  const standard = (): Opening => ({ kind: 'reply', reply: denialReply(denial, told, parts.clock, undefined) })
  const policy = decision.charges.find(({ quota, policy }, i) => {
    const verdict = decision.verdicts[i]
    return policy.respond && verdict && refuses({ quota, verdict })
  })?.policy
  if (!policy) return standard()
  const respond = policy.respond!
  const option = `${policy.where}.respond`
  return chain(
    parts.callbacks.attempt(option, () => respond(denial), undefined),
    (body) =>
      body === undefined
        ? standard()
        : (parts.callbacks.attempt<Opening>(
            option,
            () => ({ kind: 'reply', reply: denialReply(denial, told, parts.clock, body) }),
            standard(),
          ) as Opening),
  )
}

/** A policy whose rate is not known is like one whose store is out and that says `closed`: never no limit. */
function unavailable(parts: LimiterParts, c: RequestContext, policies: readonly Policy[]): Opening {
  parts.counters.denied++
  for (const { counters } of policies) counters.denied++
  const violated = policies.map(({ name }) => name)
  if (parts.sink.wants('denied')) parts.sink.emit('denied', { route: c.route, policies: [], violated })
  const denial = { request: c, status: 503, violated, permanent: false, retryAfterMs: 1_000, verdicts: [] }
  return { kind: 'reply', reply: denialReply(denial, [], parts.clock, undefined) }
}

/** Counts and events of one decision. */
export function report(parts: LimiterParts, c: Pick<RequestContext, 'route'> | undefined, decision: Decision): void {
  const { counters, sink } = parts
  let shadowed: string[] | undefined
  for (let i = 0; i < decision.charges.length; i++) {
    const { quota, policy } = decision.charges[i]!
    const verdict = decision.verdicts[i]
    if (!verdict) continue
    if (verdict.allowed) {
      if (decision.allowed) policy.counters.allowed++
    } else if (quota.shadow) {
      policy.counters.shadowDenied++
      shadowed ??= []
      shadowed.push(quota.name)
    } else policy.counters.denied++
  }
  counters[decision.allowed ? 'allowed' : 'denied']++
  if (shadowed) {
    counters.shadowDenied++
    if (sink.wants('shadow-denied')) sink.emit('shadow-denied', { route: c?.route, violated: shadowed })
  }
  const name = decision.allowed ? 'allowed' : 'denied'
  if (!sink.wants(name)) return
  const told = toldOf(decision)
  const policies = told.map(({ quota, verdict }) => ({ policy: quota.name, verdict }))
  const violated = told.filter(refuses).map(({ quota }) => quota.name)
  if (decision.allowed) sink.emit('allowed', { route: c?.route, policies })
  else sink.emit('denied', { route: c?.route, policies, violated })
}
