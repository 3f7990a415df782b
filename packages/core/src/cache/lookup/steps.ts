import type { AnswerResult } from '../../base/events.ts'
import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { type Span, spanning } from '../../base/tracing/tracing.ts'
import type { Opening, Reply } from '../../exchange/exchange.ts'
import { notesFor, notesOn } from '../../exchange/request-state.ts'
import type { CacheRecord } from '../entry/record.ts'
import { FillExchange } from '../fill/fill-exchange.ts'
import { BypassTeller, PassExchange } from '../fill/pass-exchange.ts'
import type { Fill, FillResult } from '../fill/single-flight.ts'
import { type CacheKey, cacheKey, type NoKey } from '../policy/key.ts'
import { requestDirectives } from '../policy/request-directives.ts'
import type { NotLookedUp } from '../reasons.ts'
import { counterOf } from '../stats.ts'
import { type StatusParts, statusLine } from '../status-line.ts'
import type { Vacancy, Wants } from '../store/store.ts'
import { isForVisitor, isStranger } from '../witness/witness.ts'
import type { Lookup } from './lookup.ts'
import { lookUpPart, wantsPart } from './parts.ts'
import { refreshBehind } from './refresh.ts'
import { replyFrom, replyToHit } from './reply.ts'
import { staleIfError } from './stale-if-error.ts'

/**
 * The steps of a look-up, in the order in which they happen:
 *
 *     key → look up → fresh? → hit | stale | miss → wait or fill
 *
 * The rest of the way (judge → store) is the {@link FillExchange}'s.
 */

const leaseToo: Wants = { lease: true }
const noLease: Wants = { lease: false }

/** How often a request waits for others before it runs its own handler. */
const patience = 3

// key

export function withKey(lookup: Lookup, next: (lookup: Lookup) => MaybePromise<Opening>): MaybePromise<Opening> {
  const { core, view, policy } = lookup
  const use = (made: CacheKey | NoKey | undefined): MaybePromise<Opening> => {
    if (made?.key === undefined) return bypass(lookup, made?.reason ?? 'callback')
    lookup.key = made as CacheKey
    return next(lookup)
  }
  return chain(
    core.guarded('varyBy', () => cacheKey(view, policy)),
    use,
  )
}

// look up

export function lookUp(lookup: Lookup): MaybePromise<Opening> {
  const { core, key } = lookup
  // Whoever cannot fill must not keep other processes from it. A store of this process alone has no leases.
  const wants = core.store.follow && (lookup.mayFill ? leaseToo : noLease)
  return chain(
    core.ask('read', () => core.store.get(key.key, lookup.select, wants)),
    (found) => decide(lookup, found),
  )
}

// fresh?

function decide(lookup: Lookup, found: CacheRecord | Vacancy | undefined): MaybePromise<Opening> {
  if (found === undefined) return bypass(lookup, 'store')
  const directives = lookup.policy.honourRequest ? requestDirectives(lookup.view) : undefined
  lookup.directives = directives
  if (directives?.noStore) {
    lookup.vacancy = vacancyOf(lookup, found)
    lookup.release()
    return bypass(lookup, 'request')
  }
  if (found.kind === 'vacancy') {
    lookup.vacancy = found
    if (found.reason === 'vary') lookup.status = { fwd: 'vary-miss' }
    return directives?.onlyIfCached ? gatewayTimeout(lookup) : miss(lookup)
  }
  lookup.vacancy = undefined
  if (found.witness && !isForVisitor(lookup, found)) return otherVisitor(lookup, found)
  if (!found.shared && lookup.needsAuthorization) return runAlone(lookup, { fwd: 'bypass', detail: 'authorization' })
  lookup.now = lookup.core.clock.now()
  const { now } = lookup
  if (now < found.staleAt && !directives?.refuses(found, now)) return hit(lookup, found)
  lookup.vacancy = vacancyOf(lookup, found)
  if (now < found.staleAt || !directives?.accepts(found, now)) return stale(lookup, found)
  lookup.release()
  return hit(lookup, found)
}

/** It was made for another visitor, and nobody knows yet that it is everybody's; or it is known not to be. */
function otherVisitor(lookup: Lookup, record: CacheRecord): MaybePromise<Opening> {
  lookup.status = { fwd: 'miss' }
  if (lookup.directives?.onlyIfCached) return gatewayTimeout(lookup)
  lookup.vacancy = vacancyOf(lookup, record)
  const { state } = record.witness!
  // One who has something in common with the first may be the same: his word would confirm nothing.
  if (state === 'contradicted' || !isStranger(lookup, record.witness!)) {
    lookup.notStored = state === 'contradicted' ? 'contradicted' : 'unconfirmed'
    lookup.release()
    return run(lookup)
  }
  if (lookup.core.clock.now() < record.staleAt) lookup.compared = record
  return miss(lookup)
}

/** What a fill may present, as far as the look-up has told. */
function vacancyOf({ core }: Lookup, found: CacheRecord | Vacancy): Vacancy | undefined {
  return found.kind === 'vacancy' ? found : core.store.renewal?.(found)
}

// hit

function hit(lookup: Lookup, record: CacheRecord): MaybePromise<Opening> {
  return chain(lookup.core.forms.forHit(lookup, record), (ready) => send(lookup, ready))
}

function send(lookup: Lookup, record: CacheRecord): MaybePromise<Opening> {
  const reply = replyOf(lookup, record)
  // The coding held is one this client refuses: the store tells codings apart, so this is an empty Accept-Encoding list.
  if (!reply) return runAlone(lookup, { fwd: 'vary-miss' })
  counted(lookup, record, reply)
  if (lookup.policy.front) lookup.core.front?.passed(lookup, reply)
  return { kind: 'reply', reply }
}

/** The answer that a record gives; `undefined` where this client refuses the codings it is held in. */
export function replyOf(lookup: Lookup, record: CacheRecord): Reply | undefined {
  const { policy, attempt } = lookup
  return attempt > 0 || policy.showKey
    ? replyFrom(lookup, record, statusLine(policy, lookup.key, hitParts(lookup, record)))
    : replyToHit(lookup, record)
}

/** It is going to be sent. @param front - in front of the application */
export function counted(lookup: Lookup, record: CacheRecord, reply: Reply, front = false): void {
  const { core, policy, now, attempt } = lookup
  const { counters } = core
  const result: AnswerResult = attempt > 0 ? 'collapsed' : now < record.staleAt ? 'hit' : 'stale'
  counters[counterOf[result]]++
  const reason = attempt > 0 ? 'uri-miss' : undefined
  lookup.span?.note({ route: lookup.view.route ?? record.target.route, result, reason, status: reply.status })
  if (core.events.wants('answer')) {
    const { status, body } = reply
    core.tellAnswer(lookup.view, result, { reason, status, bytes: body?.byteLength, front, record })
  }
  if (lookup.sample !== undefined) core.samples.tell(lookup.sample, lookup.view, record, result)
  if (reply.status !== record.status) counters.notModified++
  const { earlyRefresh } = policy
  if (earlyRefresh > 0 && now - record.fillMs * earlyRefresh * Math.log(Math.random()) >= record.staleAt) {
    lookup.vacancy = undefined
    refreshBehind(lookup, record)
  }
}

/** `hit`, or what a request that waited for another's handler says. */
function hitParts({ attempt, now }: Lookup, record: CacheRecord): StatusParts {
  const ttl = Math.floor((record.staleAt - now) / 1000)
  return attempt > 0 ? { fwd: 'uri-miss', collapsed: true, ttl } : { hit: true, ttl }
}

// stale

/** Stored, but it may not be used without asking. */
function stale(lookup: Lookup, record: CacheRecord): MaybePromise<Opening> {
  const { directives, now } = lookup
  if (directives?.onlyIfCached) return gatewayTimeout(lookup)
  lookup.status = { fwd: directives && now < record.staleAt ? 'request' : 'stale' }
  if (!directives?.refuses(record, now) && now < record.whileRevalidateUntil && lookup.canRefresh) {
    refreshBehind(lookup, record)
    lookup.attempt = 0
    return hit(lookup, record)
  }
  lookup.stale = record
  if (lookup.policy.timeoutGiven && now < record.ifErrorUntil && lookup.attempt === 0) {
    // Out of line, so that the client can be answered in time whatever the handler does.
    const fill = refreshBehind(lookup, record)
    if (fill) return wait(lookup, fill)
  }
  return miss(lookup)
}

// miss

function miss(lookup: Lookup): MaybePromise<Opening> {
  if (!wantsPart(lookup)) return missed(lookup)
  return chain(lookUpPart(lookup), (reply) => (reply ? { kind: 'reply', reply } : missed(lookup)))
}

function missed(lookup: Lookup): MaybePromise<Opening> {
  const { core, view, vacancy, variantKey } = lookup
  if (view.method === 'HEAD' || view.header('range') !== undefined) {
    lookup.stale = undefined
    return runAlone(lookup, lookup.status)
  }
  const { fills } = core
  if (!lookup.mayFill || fills.sideBySide(variantKey) || lookup.attempt >= patience || vacancy?.lease === 'open') {
    // Others may try: what this request brings is for itself, though it is stored where that goes.
    lookup.release()
    return run(lookup)
  }
  const running = fills.running(variantKey)
  if (running) {
    lookup.release()
    const goesOn = running.authorization !== lookup.authorization || takeOver(lookup, running)
    return goesOn ? run(lookup) : wait(lookup, running)
  }
  lookup.fill = fills.lead(variantKey, { timeoutMs: lookup.policy.timeoutMs, authorization: lookup.authorization })
  return vacancy?.lease === 'held' ? follow(lookup, lookup.fill) : run(lookup)
}

/**
 * Two caches around one handler must not wait for each other: the fill that this very request began further out goes on
 * here, and brings those who wait what is stored here.
 */
function takeOver(lookup: Lookup, running: Fill): boolean {
  const outer = notesOn(lookup.view.native)?.[outerKey] as Lookup | undefined
  if (outer?.fill !== running) return false
  lookup.fill = running
  outer.fill = undefined
  return true
}

const outerKey = Symbol('sluice.lookup')

// wait

/** Another request of this process is at it. */
function wait(lookup: Lookup, fill: Fill): Promise<Opening> {
  const span = lookup.core.events.tracing?.begin('wait', { route: lookup.view.route })
  const settled = span ? tracedWait(span, fill) : fill.wait()
  return settled.then((result) => waited(lookup, result)) as Promise<Opening>
}

/** Draws who waits for whom. A refresh may be waited for before its handler has begun. */
function tracedWait(span: Span, fill: Fill): PromiseLike<FillResult> {
  const first = fill.span
  const join = (other: Span): void => {
    span.link(other)
    other.link(span)
  }
  if (first) join(first)
  const wait = (): Promise<FillResult> => fill.wait()
  return spanning(span, wait, (result) => {
    if (!first && fill.span) join(fill.span)
    span.note({ result })
  }) as PromiseLike<FillResult>
}

function waited(lookup: Lookup, result: FillResult): MaybePromise<Opening> {
  if (result === 'stored' || result === 'abandoned') {
    lookup.attempt++
    return lookUp(lookup)
  }
  const { stale: held } = lookup
  const goOn = (): MaybePromise<Opening> => {
    lookup.status = { fwd: held ? 'stale' : 'uri-miss' }
    lookup.notStored = result === 'timeout' ? 'follower' : undefined
    lookup.stale = lookup.vacancy = lookup.compared = undefined
    return run(lookup)
  }
  if (!held || result === 'unshared') return goOn()
  return chain(staleIfError(lookup, { status: 504, detail: result }), (reply) => {
    if (!reply) return goOn()
    lookup.span?.note({ result: 'stale', reason: result, status: reply.status })
    return { kind: 'reply', reply }
  })
}

/** Another process is at it. One request of this process waits for it, on behalf of all the others that want the same. */
function follow(lookup: Lookup, fill: Fill): MaybePromise<Opening> {
  const { core, key, policy } = lookup
  const found = core.ask('follow', () => core.store.follow?.(key.key, lookup.select, policy.timeoutMs))
  return chain(found, (record) => {
    if (record === undefined) {
      fill.settle('timeout')
      return bypass(lookup, 'store')
    }
    const vacancy = vacancyOf(lookup, record)
    if (!vacancy) {
      fill.settle('stored')
      lookup.fill = undefined
      lookup.attempt++
      return decide(lookup, record)
    }
    lookup.vacancy = vacancy
    if (record.kind === 'record') lookup.stale = record
    if (vacancy.lease === 'taken') return run(lookup)
    const overdue = vacancy.lease === 'held'
    fill.settle(overdue ? 'timeout' : 'unshared')
    lookup.fill = undefined
    lookup.notStored = overdue ? 'follower' : undefined
    return run(lookup)
  })
}

// fill

/** Goes to the handler. */
export function run(lookup: Lookup): MaybePromise<Opening> {
  const { core, key } = lookup
  // The position is taken before the handler reads anything: a purge from here on makes the store a no-op.
  const vacancy = lookup.vacancy ?? core.ask('read', () => core.store.position(key.key))
  return chain(vacancy, (position): Opening => {
    if (!position) {
      lookup.fill?.settle('unshared')
      return bypass(lookup, 'store')
    }
    lookup.vacancy = position
    const { fwd, detail } = lookup.status
    lookup.span?.note({ result: fwd === 'bypass' ? 'bypass' : 'miss', reason: detail ?? fwd })
    notesFor(lookup.view.native)[outerKey] = lookup
    return { kind: 'proceed', exchange: new FillExchange(lookup) }
  })
}

/** Goes to the handler as it came: nobody waits for it, and its conditions are the handler's. */
function runAlone(lookup: Lookup, status: StatusParts): MaybePromise<Opening> {
  lookup.status = status
  lookup.answersConditions = false
  return run(lookup)
}

/** The cache leaves the request alone, but for saying why. */
export function bypass(
  at: Pick<Lookup, 'core' | 'policy' | 'view'> & Partial<Pick<Lookup, 'span'>>,
  detail: NotLookedUp,
): Opening {
  at.span?.note({ result: 'bypass', reason: detail })
  const line = statusLine(at.policy, undefined, { fwd: 'bypass', detail })
  return { kind: 'proceed', exchange: new PassExchange(line, BypassTeller.of(at.core, at.view, detail)) }
}

function gatewayTimeout(lookup: Lookup): Opening {
  lookup.release()
  lookup.core.answered(lookup.view, 'miss', { reason: 'only-if-cached', status: 504, bytes: 0 })
  lookup.span?.note({ result: 'miss', reason: 'only-if-cached', status: 504 })
  const line = statusLine(lookup.policy, lookup.key, { detail: 'only-if-cached' })
  const fields = ['Cache-Control', 'no-store', 'Cache-Status', line]
  const reply: Reply = { status: 504, fields, body: new Uint8Array(0) }
  return { kind: 'reply', reply }
}
