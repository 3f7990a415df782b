import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { type Duration, durationMs } from '../../base/units.ts'
import { ResponseContext } from '../../exchange/context.ts'
import { encoderOf } from '../../exchange/encoder.ts'
import type {
  BodyPlan,
  Exchange,
  Outcome,
  Reply,
  RequestChange,
  ResponseControl,
  ResponseHead,
} from '../../exchange/exchange.ts'
import { addVary } from '../../exchange/merge-fields.ts'
import { isPaged, watchQuery } from '../../exchange/reads/query-watch.ts'
import { parseGroups } from '../../http/caching/cache-groups.ts'
import { refusedDirective } from '../../http/caching/storable.ts'
import type { Fields } from '../../http/fields/fields.ts'
import type { CacheCore } from '../cache-core.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { fieldOf, replyFrom, replyWith } from '../lookup/reply.ts'
import { type Failure, staleIfError } from '../lookup/stale-if-error.ts'
import { advertise } from '../policy/advertise.ts'
import { cacheKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { Judge } from '../policy/storability.ts'
import { variantOf } from '../policy/variant.ts'
import { type StatusParts, statusLine } from '../status-line.ts'
import { storePart } from './combine.ts'
import { fillRequest, Guard, watchParameters } from './guard.ts'
import { ownFields } from './handler-fields.ts'
import { codingOf, confirmRecord, makeRecord, type ResponseTerms, responseTerms, type Times } from './make-record.ts'
import type { FillResult } from './single-flight.ts'

/** One run of a handler on behalf of the cache: sees to what becomes of its response. */
export class FillExchange implements Exchange {
  readonly request: RequestChange
  readonly control: ResponseControl
  readonly #core: CacheCore
  readonly #lookup: Lookup
  readonly #guard: Guard
  readonly #judge: Judge
  readonly #startedAt: number
  readonly #tags: string[] = []
  #overrideMs: number | undefined
  #skipped: string | undefined
  /** The handler was given our validators, so a 304 of its is about what is stored. */
  readonly #asked: boolean
  /** It answered 5xx, and something stored may stand in. */
  #failed = false
  #storing = false
  /** Set by `onHead` when the response may be stored: its terms, and the handler's own fields. */
  #storable: { readonly terms: ResponseTerms; readonly own: Fields } | undefined

  constructor(lookup: Lookup) {
    const { core, view, policy, stale, answersConditions } = lookup
    this.#core = core
    this.#lookup = lookup
    this.#guard = new Guard(core.ownReads)
    this.#judge = new Judge(lookup, this.#guard)
    this.#startedAt = core.clock.now()
    if (isPaged(view)) this.#skipped = 'behind-paginate'
    // A key function stands in place of the query: what of that it covers is its author's to know.
    if (policy.query && !policy.key) watchQuery(view, watchParameters(policy.query, this.#guard))
    const validators = answersConditions ? validatorsOf(stale) : {}
    this.#asked = validators.etag !== undefined || validators.lastModified !== undefined
    this.request = answersConditions ? fillRequest(this.#guard, validators) : { reads: this.#guard }
    this.control = {
      ttl: (ttl: Duration) => {
        this.#overrideMs = durationMs('ttl', ttl)
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
    return this.#core.ownReads.during(() => this.#plan(head))
  }

  #plan(head: ResponseHead): BodyPlan {
    // What is read behind a whole body does not shape it (loggers); a body in pieces is still being made.
    if (head.body === 'whole') this.#guard.close()
    const { stale, policy, key, status } = this.#lookup
    if (stale && head.status === 304 && this.#asked) return this.#confirm(head, stale)
    if (stale && head.status >= 500 && head.body === 'whole' && this.#core.clock.now() < stale.ifErrorUntil) {
      this.#failed = true
      return { mode: 'hold' }
    }
    const own = ownFields(head)
    const terms = responseTerms(head, policy, this.#overrideMs, this.#core.clock.wall())
    const reason = this.#refusal(head, own, terms)
    if (reason !== undefined) return this.#pass(head, reason)
    this.#storable = { terms, own }
    if (head.body === 'whole') return { mode: 'hold' }
    // The head goes out before the body is known: no validator, and no claim that it was stored.
    advertise(head.fields, policy, this.#judge.scope)
    head.fields.append('cache-status', statusLine(policy, key, status))
    return { mode: 'tee', limit: policy.maxEntryBytes }
  }

  onBody(head: ResponseHead, body: Uint8Array): MaybePromise<Reply> {
    if (this.#failed) {
      return chain(this.#staleIfError({ status: head.status }), (reply) => reply ?? this.#asItIs(head, body, 'status'))
    }
    this.#guard.close()
    this.#storing = true
    const { own } = this.#storable!
    return chain(this.#store(head, body), (outcome) => {
      if (typeof outcome === 'string') return this.#asItIs(head, body, outcome)
      const { policy, key, status, view } = this.#lookup
      this.#core.counters.stored++
      this.#settle(outcome.staleAt > outcome.storedAt ? 'stored' : 'unshared')
      return replyWith(outcome, view, own, statusLine(policy, key, { ...status, stored: true }))
    })
  }

  onError(error: unknown): MaybePromise<Reply | undefined> {
    const status = statusOf(error)
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
    if (this.#storing) return
    this.#settle(outcome === 'aborted' ? 'abandoned' : outcome === 'failed' ? 'failed' : 'unshared')
  }

  #settle(result: FillResult): void {
    this.#lookup.fill?.settle(result)
    this.#core.release(this.#lookup.vacancy, result === 'unshared' || result === 'failed' ? 'unshared' : 'given-up')
  }

  /** What the handler says of its response comes first, then every rule. */
  #refusal(head: ResponseHead, own: Fields, terms: ResponseTerms): string | undefined {
    if (this.#skipped !== undefined) return this.#skipped
    if (this.#overrideMs === 0) return 'ttl-zero'
    return this.#judge.refusal(head, own, terms) ?? (this.#lookup.mayStore ? undefined : 'follower')
  }

  #pass(head: ResponseHead, reason: string): BodyPlan {
    this.#refused(reason, head.status)
    const { policy, key, status } = this.#lookup
    const parts: StatusParts = reason === 'authorization' ? { fwd: 'bypass' } : status
    head.fields.append('cache-status', statusLine(policy, key, { ...parts, detail: reason }))
    return { mode: 'pass' }
  }

  /** The handler's whole answer as it made it, with the reason why it was not stored. */
  #asItIs(head: ResponseHead, body: Uint8Array, reason: string): Reply {
    this.#refused(reason, head.status)
    const { policy, key, status } = this.#lookup
    const own = ownFields(head)
    // One field and not two: a host lays the fields of a reply over each other by name.
    own.set(
      'cache-status',
      [...own.lines('cache-status'), statusLine(policy, key, { ...status, detail: reason })].join(', '),
    )
    return { status: head.status, fields: [...own].flat(), body }
  }

  #refused(reason: string, status: number): void {
    this.#core.refused(reason, this.#lookup.view.route)
    // A purge came between: what others wait for is worth another fill, by one of them.
    this.#settle(status >= 500 ? 'failed' : reason === 'purged' ? 'abandoned' : 'unshared')
  }

  #staleIfError(failure: Failure): MaybePromise<Reply | undefined> {
    return chain(staleIfError(this.#lookup, failure), (reply) => {
      if (reply) this.#settle('failed')
      return reply
    })
  }

  /** The handler says that what is stored is still right (RFC 9111 §4.3.4). */
  #confirm(head: ResponseHead, stale: CacheRecord): BodyPlan {
    const { view, policy, key, vacancy } = this.#lookup
    const own = ownFields(head)
    const times = this.#times()
    const merged = { status: stale.status, fields: mergedTerms(stale, own, policy) }
    const terms = responseTerms(merged, policy, this.#overrideMs, times.wall)
    const record = confirmRecord(stale, own, terms, policy, times)
    this.#core.counters.revalidated++
    const parts: StatusParts = { fwd: 'stale', fwdStatus: 304 }
    const rules = { directives: terms.directives, explicit: terms.explicit, ttlRoute: policy.mode === 'route' }
    if (refusedDirective(merged, rules) !== undefined || this.#skipped !== undefined) {
      this.#settle('unshared')
    } else {
      this.#storing = true
      const selected = { coding: record.forms[0]!.coding, language: fieldOf(record.fields, 'content-language') }
      const variant = variantOf(this.#lookup, this.#judge.varyFields(head), selected)
      void chain(this.#core.put(key.key, variant, record, vacancy!), (outcome) =>
        this.#settle(outcome === 'stored' && record.staleAt > record.storedAt ? 'stored' : 'unshared'),
      )
    }
    const reply = replyFrom(record, view, times.now, statusLine(policy, key, parts))
    return reply ? { mode: 'replace', reply } : { mode: 'pass' }
  }

  /** Stores the response. The record, or the reason why not. */
  #store(head: ResponseHead, body: Uint8Array): MaybePromise<CacheRecord | string> {
    const { view, policy, key, vacancy } = this.#lookup
    const { terms, own } = this.#storable!
    const declared = head.fields.get('content-length')
    if (declared !== undefined && Number(declared) !== body.byteLength) return 'incomplete'
    const unkeyed = head.body === 'pieces' ? this.#judge.unkeyed(head) : undefined
    if (unkeyed !== undefined) return unkeyed
    const response = new ResponseContext(view, head.status, head.fields, body)
    const tags = this.#core.attempt('tags', () => this.#allTags(response, own))
    if (!tags) return 'callback'
    if (policy.storeIf && !this.#core.attempt('storeIf', () => policy.storeIf!(response))) return 'store-if'
    const shared = this.#judge.mayShare(head.fields)
    advertise(own, policy, this.#judge.scope)
    // Stored with it, for a 304 says it too and has no type that shows it.
    if (encoderOf(view)?.recipe.varies(own.get('content-type'))) addVary(own, 'Accept-Encoding')
    const times = this.#times()
    const made = makeRecord({ view, policy, status: head.status, fields: own, body, terms, times, tags, shared })
    const selected = { coding: codingOf(head.fields), language: head.fields.get('content-language') }
    const variant = variantOf(this.#lookup, this.#judge.varyFields(head), selected)
    // A user who signed in (or out) while the handler ran would otherwise be stored under somebody else's key.
    const again = key.covered ? this.#core.guarded('varyBy', () => cacheKey(view, policy, key.route)) : key
    return chain(again, (now) => {
      if (now?.key !== key.key) return 'key-changed'
      if (made.status === 206) return storePart(this.#lookup, made, variant)
      return chain(this.#core.forms.forNew(made, view), (record) =>
        chain(this.#core.put(key.key, variant, record, vacancy!), (outcome) =>
          outcome === 'stored' ? record : outcome === 'fenced' ? 'purged' : 'store-refused',
        ),
      )
    })
  }

  #allTags(response: ResponseContext, own: Fields): string[] {
    const { policy } = this.#lookup
    const given = typeof policy.tags === 'function' ? policy.tags(response) : policy.tags
    const tags = [...given, ...this.#tags]
    for (const tag of tags) {
      if (typeof tag !== 'string' || tag === '') throw new TypeError('a tag must be a non-empty string')
    }
    // RFC 9875: groups are tags in a standard's clothes.
    return [...new Set([...tags, ...parseGroups(own.lines('cache-groups'))])]
  }

  #times(): Times {
    return { startedAt: this.#startedAt, now: this.#core.clock.now(), wall: this.#core.clock.wall() }
  }
}

/** The stored fields with those of a 304 laid over them: what the freshness of the confirmed response is read from. */
function mergedTerms(stale: CacheRecord, own: Fields, policy: CachePolicy): Fields {
  const merged = own.copy()
  for (const name of ['cache-control', 'expires', ...policy.targets]) {
    const stored = fieldOf(stale.fields, name)
    if (!merged.has(name) && stored !== undefined) merged.set(name, stored)
  }
  return merged
}

/**
 * What the handler can confirm a stored response by; nothing for a tag it never saw, nor where it was not a 200 that is
 * stored: conditions are about that (RFC 9110 §13.2.1). Frameworks derive a tag from the body alone, so that their 304
 * would say of a stored 404 with the same text that it is still right.
 */
function validatorsOf(stale: CacheRecord | undefined): {
  etag?: string | undefined
  lastModified?: string | undefined
} {
  if (stale?.status !== 200) return {}
  const tags = stale.ownTag ? [] : stale.forms.flatMap((form) => form.etag ?? [])
  return { etag: tags.length ? tags.join(', ') : undefined, lastModified: fieldOf(stale.fields, 'last-modified') }
}

function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const given = Number(status ?? statusCode)
  return given >= 400 && given <= 599 ? given : 500
}
