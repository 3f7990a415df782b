import { preciseTime } from '../../base/clock.ts'
import { unmatched } from '../../base/events.ts'
import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { outside, type Span, within } from '../../base/tracing/tracing.ts'
import { type Duration, durationMs } from '../../base/units.ts'
import type {
  BodyPlan,
  Exchange,
  Outcome,
  Reply,
  RequestChange,
  ResponseControl,
  ResponseHead,
} from '../../exchange/exchange.ts'
import { isPaged, watchQuery } from '../../exchange/reads/query-watch.ts'
import { isField } from '../../exchange/reads/term.ts'
import { refusedDirective } from '../../http/caching/storable.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { targetText } from '../../http/locate.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { fieldOf, only304, replyFrom, replyWith } from '../lookup/reply.ts'
import { type Failure, staleIfError } from '../lookup/stale-if-error.ts'
import { advertise } from '../policy/advertise.ts'
import type { CachePolicy } from '../policy/options.ts'
import { Storability } from '../policy/storability.ts'
import { type StatusParts, statusLine } from '../status-line.ts'
import { Reads } from '../terms/reads.ts'
import { ownFields, removedFields } from './handler-fields.ts'
import { handlerRequest, validatorsOf, watchParameters } from './handler-request.ts'
import { type KnownHead, lengthOf } from './known-head.ts'
import { confirmRecord, type ResponseTerms, responseTerms, type Times } from './make-record.ts'
import { isNotModified } from './not-modified.ts'
import type { FillResult } from './single-flight.ts'
import { endsStale, isLineByLine } from './statuses.ts'
import { Storing } from './storing.ts'

/** One run of a handler on behalf of the cache: judges its response, and sees to what becomes of it. */
export class FillExchange implements Exchange {
  readonly request: RequestChange
  readonly control: ResponseControl
  readonly within: Exchange['within']
  readonly #span: Span | undefined
  readonly #lookup: Lookup
  readonly #reads: Reads
  readonly #storability: Storability
  readonly #storing: Storing
  readonly #startedAt: number
  readonly #tags: string[] = []
  #overrideMs: number | undefined
  #skipped: string | undefined
  /** The handler was given our validators, so a 304 of its is about what is stored. */
  readonly #asked: boolean
  /** It answered 5xx, and something stored may stand in. */
  #failed = false
  #stores = false
  /** What the client is answered with is told. */
  #answered = false
  /** When the handler began, where anybody wants to know how long it takes, and has not been told. */
  #since: number | undefined
  /** Set by `onHead` when the response may be stored: its terms, and the handler's own fields. */
  #storable: { readonly terms: ResponseTerms; readonly own: Fields } | undefined

  constructor(lookup: Lookup) {
    const { core, view, policy, stale, answersConditions } = lookup
    this.#lookup = lookup
    this.#reads = new Reads(core.texts, core.ownReads)
    // What other handlers of this key have read, as it is before this one runs.
    for (const term of lookup.spec?.fields ?? []) {
      if (!isField(term)) this.#reads.keep(term, core.texts.of(lookup, term))
    }
    this.#storability = new Storability(lookup, this.#reads)
    this.#storing = new Storing(lookup, this.#reads, this.#storability)
    this.#startedAt = core.clock.now()
    this.#span = beginSpan(lookup)
    const span = this.#span
    this.within = span && ((run) => span.within(run))
    if (span || core.events.wants('fill')) this.#since = preciseTime(core.clock)
    if (isPaged(view)) this.#skipped = 'behind-paginate'
    // A key function stands in place of the query: what of that it covers is its author's to know.
    if (policy.query && !policy.key) watchQuery(view, watchParameters(policy.query, this.#reads))
    const validators = answersConditions ? validatorsOf(stale) : {}
    this.#asked = validators.etag !== undefined || validators.lastModified !== undefined
    this.request = handlerRequest(lookup, this.#reads, validators)
    this.control = {
      ttl: (ttl: Duration) => {
        this.#overrideMs = lifetimeGiven(ttl)
      },
      tag: (...tags) => {
        this.#tags.push(...tags.map(String))
      },
      skip: (reason = 'skip') => {
        this.#skipped = String(reason)
      },
    }
  }

  onHead(head: ResponseHead): BodyPlan {
    return this.#lookup.core.ownReads.during(() => this.#plan(head))
  }

  /** Sessions that save themselves and loggers read the request while the head is written: that is not the handler. */
  quiet<T>(run: () => T): T {
    return this.#lookup.core.ownReads.during(run)
  }

  #plan(head: ResponseHead): BodyPlan {
    this.#span?.note({ route: this.#lookup.view.route, status: head.status })
    if (head.status >= 500) this.#span?.fail(String(head.status))
    // What is read behind a whole body does not shape it (loggers); a body in pieces is still being made.
    if (head.body === 'whole') this.#reads.close()
    else this.#reads.settle()
    const { stale, policy, key, status, core } = this.#lookup
    if (stale && head.status === 304 && this.#asked) return this.#confirm(head, stale)
    if (stale && head.status >= 500 && head.body === 'whole' && core.clock.now() < stale.ifErrorUntil) {
      this.#failed = true
      return { mode: 'hold' }
    }
    const own = ownFields(head)
    const terms = responseTerms(head, policy, { overrideMs: this.#overrideMs, wall: core.clock.wall() })
    const reason = this.#refusal(head, own, terms)
    if (reason !== undefined) return this.#pass(head, reason)
    this.#storable = { terms, own }
    if (head.body === 'whole') return { mode: 'hold' }
    // Who waits for it would wait for its end.
    if (isLineByLine(head.fields)) this.#settle('unshared')
    // The head goes out before the body is known: no validator, and no claim that reads to come could take back.
    advertise(head.fields, policy, {
      scope: policy.guard === 'off' && !head.early ? this.#storability.scope(head) : 'private',
      vary: this.#storability.downstreamVary(head),
      lifetimeMs: terms.lifetimeMs,
      status: head.status,
    })
    head.fields.append('cache-status', statusLine(policy, key, status))
    this.#answer(status.fwd, head)
    const dropped = (): void => this.#settle('unshared')
    return { mode: 'tee', limit: policy.maxEntryBytes, dropped }
  }

  onBody(head: ResponseHead, body: Uint8Array): MaybePromise<Reply> {
    if (this.#failed) {
      return chain(this.#staleIfError({ status: head.status }), (reply) => reply ?? this.#asItIs(head, body, 'status'))
    }
    this.#reads.close()
    this.#stores = true
    const ms = this.#elapsed()
    const { own, terms } = this.#storable!
    const answer = { head, own, body, terms, tags: this.#tags, times: this.#times() }
    const stored = within(this.#span, () => this.#storing.store(answer))
    return chain(stored, (outcome) => {
      this.#filled(ms, typeof outcome === 'string' ? undefined : outcome, body.byteLength)
      if (typeof outcome === 'string') return this.#asItIs(head, body, outcome)
      const { policy, key, status, view, core } = this.#lookup
      core.counters.stored++
      core.outcomes.stored(view, this.#storability.terms(head), policy)
      this.#settle(outcome.staleAt > outcome.storedAt ? 'stored' : 'unshared')
      // RFC 9211 §2: each cache adds its member behind those of the caches nearer to the origin.
      own.append('cache-status', statusLine(policy, key, { ...status, stored: true }))
      const reply = replyWith(view, outcome, own)
      this.#answer(status.fwd, { status: reply.status, length: reply.body?.byteLength })
      return reply
    })
  }

  onError(error: unknown): MaybePromise<Reply | undefined> {
    const status = statusOf(error)
    this.#span?.note({ status })
    if (status >= 500) this.#span?.fail(String(status), error)
    if (status < 500) {
      this.#settle('unshared')
      return undefined
    }
    return chain(this.#lookup.stale && this.#staleIfError({ status, cause: error }), (reply) => {
      this.#settle('failed')
      return reply
    })
  }

  onClose(outcome: Outcome): void {
    this.#answer(this.#lookup.status.fwd, undefined)
    if (outcome === 'failed') this.#span?.fail(outcome)
    else if (outcome === 'aborted') this.#span?.note({ result: outcome })
    if (!this.#stores) this.#filled(this.#elapsed(), undefined, undefined)
    if (this.#stores) return
    this.#settle(outcome === 'aborted' ? 'abandoned' : outcome === 'failed' ? 'failed' : 'unshared')
  }

  #settle(result: FillResult): void {
    const { fill, core, vacancy } = this.#lookup
    fill?.settle(result)
    core.release(vacancy, result === 'unshared' || result === 'failed' ? 'unshared' : 'given-up')
  }

  /** What the handler says of its response comes first, then every rule. */
  #refusal(head: ResponseHead, own: Fields, terms: ResponseTerms): string | undefined {
    if (this.#skipped !== undefined) return this.#skipped
    if (this.#overrideMs !== undefined && this.#overrideMs <= 0) return 'ttl-zero'
    return this.#storability.refusal(head, own, terms) ?? this.#lookup.notStored
  }

  #pass(head: ResponseHead, reason: string): BodyPlan {
    this.#refused(reason, head.status)
    const { policy, key, status } = this.#lookup
    const parts: StatusParts = reason === 'authorization' ? { fwd: 'bypass' } : status
    this.#answer(reason, head, parts.fwd === 'bypass')
    const line = statusLine(policy, key, { ...parts, detail: reason })
    // The client's conditions were kept from the handler, and there is no stored response to answer them from.
    if (this.#lookup.answersConditions && isNotModified(this.#lookup.view, head)) {
      const own = ownFields(head)
      own.set('cache-status', [...own.lines('cache-status'), line].join(', '))
      return { mode: 'replace', reply: { status: 304, fields: only304([...own].flat()), body: undefined } }
    }
    head.fields.append('cache-status', line)
    return { mode: 'pass' }
  }

  /** The handler's whole answer as it made it, with the reason why it was not stored. */
  #asItIs(head: ResponseHead, body: Uint8Array, reason: string): Reply {
    this.#refused(reason, head.status)
    const { policy, key, status } = this.#lookup
    this.#answer(reason, { status: head.status, length: body.byteLength }, status.fwd === 'bypass')
    const own = ownFields(head)
    const notModified = this.#lookup.answersConditions && isNotModified(this.#lookup.view, head)
    // One field and not two: a host lays the fields of a reply over each other by name.
    own.set(
      'cache-status',
      [...own.lines('cache-status'), statusLine(policy, key, { ...status, detail: reason })].join(', '),
    )
    if (notModified) return { status: 304, fields: only304([...own].flat()), body: undefined }
    return { status: head.status, reason: head.reason, without: removedFields(head), fields: [...own].flat(), body }
  }

  #refused(reason: string, status: number): void {
    const { core, view, stale, key } = this.#lookup
    core.refused(reason, view)
    // What was stored is not so any more, and is not for later either: neither stale nor in place of an error.
    const isOver = stale !== undefined && core.clock.now() >= stale.staleAt
    if (isOver && endsStale(reason, status)) void core.ask('delete', () => core.store.delete(key.key))
    // A purge came between: what others wait for is worth another fill, by one of them.
    this.#settle(status >= 500 ? 'failed' : reason === 'purged' ? 'abandoned' : 'unshared')
  }

  #staleIfError(failure: Failure): MaybePromise<Reply | undefined> {
    return chain(staleIfError(this.#lookup, failure), (reply) => {
      if (reply) {
        // Told where it was found.
        this.#answered = true
        this.#settle('failed')
      }
      return reply
    })
  }

  /** What the client is answered with is known. Told once. @param head - `undefined`: there was none */
  #answer(
    reason: string | undefined,
    head: KnownHead | undefined,
    bypassed = this.#lookup.status.fwd === 'bypass',
  ): void {
    if (this.#answered) return
    this.#answered = true
    const { core, view } = this.#lookup
    const told = { reason, status: head?.status, bytes: head && lengthOf(head) }
    core.answered(view, bypassed ? 'bypass' : 'miss', told)
  }

  /** How long the handler has taken so far, where anybody wants to know. */
  #elapsed(): number | undefined {
    return this.#since === undefined ? undefined : preciseTime(this.#lookup.core.clock) - this.#since
  }

  /** The handler's answer is there. Told once. @param stored - the record it is stored as */
  #filled(ms: number | undefined, stored: CacheRecord | undefined, bytes: number | undefined): void {
    if (ms === undefined || this.#since === undefined) return
    this.#since = undefined
    const { core, view } = this.#lookup
    const background = view.ticket !== undefined
    const { method, route = unmatched } = view
    const tags = stored?.tags ?? []
    const told = { route, method, url: targetText(view), tags, ms, stored: stored !== undefined, bytes, background }
    within(this.#span, () => core.events.emit('fill', told))
    this.#span?.note({ stored: told.stored, bytes })
    this.#span?.end()
  }

  /** The handler says that what is stored is still right (RFC 9111 §4.3.4). */
  #confirm(head: ResponseHead, stale: CacheRecord): BodyPlan {
    const { view, policy, key, vacancy, core } = this.#lookup
    const own = ownFields(head)
    const times = this.#times()
    const merged = { status: stale.status, fields: mergedTerms(stale, own, policy) }
    const ms = this.#elapsed()
    const terms = responseTerms(merged, policy, { overrideMs: this.#overrideMs, wall: times.wall })
    const record = confirmRecord(stale, { fields: own, terms, policy, times })
    core.counters.revalidated++
    const parts: StatusParts = { fwd: 'stale', fwdStatus: 304 }
    const rules = { directives: terms.directives, explicit: terms.explicit, ttlRoute: policy.mode === 'route' }
    if (refusedDirective(merged, rules) !== undefined || this.#skipped !== undefined) {
      void core.ask('delete', () => core.store.delete(key.key))
      this.#settle('unshared')
    } else {
      this.#stores = true
      const variant = this.#storing.variant(head, {
        coding: record.forms[0]!.coding,
        language: fieldOf(record.fields, 'content-language'),
      })
      const put = within(this.#span, () => core.put(key.key, variant, record, vacancy!))
      void chain(put, (outcome) => {
        this.#filled(ms, outcome === 'stored' ? record : undefined, 0)
        this.#settle(outcome === 'stored' && record.staleAt > record.storedAt ? 'stored' : 'unshared')
      })
    }
    const reply = replyFrom({ view, now: times.now }, record, statusLine(policy, key, parts))
    this.#answer('stale', reply ? { status: reply.status, length: reply.body?.byteLength } : head)
    return reply ? { mode: 'replace', reply } : { mode: 'pass' }
  }

  #times(): Times {
    const { clock } = this.#lookup.core
    return { startedAt: this.#startedAt, now: clock.now(), wall: clock.wall() }
  }
}

/** A span for the handler, beside that of the look-up that has sent for it. */
function beginSpan({ core, view, span, fill }: Lookup): Span | undefined {
  const { tracing } = core.events
  if (!tracing) return undefined
  const { route, method, ticket } = view
  const own = outside(span, () => tracing.begin('fill', { route, method, background: ticket !== undefined }))
  if (fill) fill.span = own
  return own
}

/** `.ttl()` at run time: less than nothing is nothing, and what has no end is long; neither is worth a 500. */
function lifetimeGiven(ttl: Duration): number {
  if (typeof ttl !== 'number') return durationMs('ttl', ttl)
  return Number.isNaN(ttl) ? 0 : Math.min(Math.max(Math.round(ttl), 0), longestMs)
}

/** A year: what is longer comes to the same (RFC 9111 §1.2.2 caps seconds at 2^31, which is 68 years). */
const longestMs = 31_536_000_000

/** The stored fields with those of a 304 laid over them: what the freshness of the confirmed response is read from. */
function mergedTerms(stale: CacheRecord, own: Fields, policy: CachePolicy): Fields {
  const merged = own.copy()
  for (const name of ['cache-control', 'expires', ...policy.targets]) {
    const stored = fieldOf(stale.fields, name)
    if (!merged.has(name) && stored !== undefined) merged.set(name, stored)
  }
  return merged
}

function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const given = Number(status ?? statusCode)
  return given >= 400 && given <= 599 ? given : 500
}
