import { ResponseContext } from '../exchange/context.ts'
import type {
  BodyPlan,
  Exchange,
  Outcome,
  Reply,
  RequestChange,
  ResponseControl,
  ResponseHead,
} from '../exchange/exchange.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import { parseGroups } from '../http/cache-groups.ts'
import type { Fields } from '../http/fields.ts'
import { notStorable } from '../http/storable.ts'
import { parseVary } from '../http/vary.ts'
import { chain, type MaybePromise } from '../maybe-promise.ts'
import { type Duration, durationMs } from '../units.ts'
import { advertise } from './advertise.ts'
import type { CacheCore } from './cache-core.ts'
import type { Fill } from './fills.ts'
import { deliveryFields, fillRequest, Guard, identityReads } from './guard.ts'
import { type CacheKey, cacheKey } from './key.ts'
import {
  allowsAuthorization,
  codingOf,
  confirmRecord,
  makeRecord,
  type ResponseTerms,
  responseTerms,
  type Times,
} from './make-record.ts'
import type { CachePolicy } from './options.ts'
import { ownFields } from './own-fields.ts'
import type { CacheRecord } from './record.ts'
import { fieldOf, replyFrom, replyWith } from './reply.ts'
import { type StatusParts, statusLine } from './status-line.ts'
import type { Vacancy } from './store.ts'
import { variantOf } from './variant.ts'

/** How a request came to its handler. */
export interface Run {
  readonly view: RequestView
  readonly policy: CachePolicy
  readonly key: CacheKey
  /** Where this fill stands in the order of invalidations. */
  readonly vacancy: Vacancy
  /** Others wait for it. */
  readonly fill?: Fill | undefined
  /** What is stored, no longer fresh, and to be confirmed or replaced. */
  readonly stale?: CacheRecord | undefined
  readonly status: StatusParts
  /** Its answer may be stored. A follower that waited too long does not store. */
  readonly store: boolean
  /** The client's own conditions are ours to answer; false for requests that are passed on as they came. */
  readonly ownConditions: boolean
}

/** One run of a handler on behalf of the cache: decides what becomes of its response. */
export class FillExchange implements Exchange {
  readonly request: RequestChange
  readonly control: ResponseControl
  readonly #core: CacheCore
  readonly #run: Run
  readonly #guard = new Guard()
  readonly #startedAt: number
  readonly #tags: string[] = []
  #overrideMs: number | undefined
  #skipped: string | undefined
  #storing = false
  /** Set by `onHead` when the response may be stored. */
  #terms: ResponseTerms | undefined
  #own: Fields | undefined

  constructor(core: CacheCore, run: Run) {
    this.#core = core
    this.#run = run
    this.#startedAt = core.clock.now()
    this.request = run.ownConditions ? fillRequest(this.#guard, validatorsOf(run.stale)) : { reads: this.#guard }
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
    this.#guard.close()
    const { stale } = this.#run
    if (stale && head.status === 304 && this.#run.ownConditions) return this.#confirm(head, stale)
    if (stale && head.status >= 500) {
      const reply = this.#standIn(head.status, undefined)
      if (reply) return { mode: 'replace', reply }
    }
    const own = ownFields(head)
    const times = this.#times()
    const terms = responseTerms(
      { status: head.status, fields: head.fields },
      this.#run.policy,
      this.#overrideMs,
      times.wall,
    )
    const reason = this.#refusal(head, terms)
    if (reason !== undefined) return this.#pass(head, reason)
    this.#terms = terms
    this.#own = own
    if (head.body === 'whole') return { mode: 'hold' }
    // The head goes out before the body is known: no validator, and no claim that it was stored.
    advertise(head.fields, this.#run.policy, this.#scope())
    head.fields.append('cache-status', statusLine(this.#run.policy, this.#run.key, this.#run.status))
    return { mode: 'tee', limit: this.#run.policy.maxEntryBytes }
  }

  onBody(head: ResponseHead, body: Uint8Array): MaybePromise<Reply> {
    const own = this.#own!
    this.#storing = true
    return chain(this.#store(head, own, body), (outcome) => {
      const { policy, key, status, view } = this.#run
      if (typeof outcome === 'string') {
        this.#refuse(outcome, head.status)
        const line = statusLine(policy, key, { ...status, detail: outcome })
        return { status: head.status, fields: [...own].flat().concat('Cache-Status', line), body }
      }
      this.#core.counters.stored++
      this.#run.fill?.settle(outcome.staleAt > outcome.storedAt ? 'stored' : 'unshared')
      return replyWith(outcome, view, own, statusLine(policy, key, { ...status, stored: true }))
    })
  }

  onError(error: unknown): Reply | undefined {
    const status = statusOf(error)
    if (status < 500) {
      this.#run.fill?.settle('unshared')
      return undefined
    }
    const reply = this.#standIn(status, error)
    this.#run.fill?.settle('failed')
    return reply
  }

  onClose(outcome: Outcome): void {
    const { fill } = this.#run
    if (!fill || fill.settled || this.#storing) return
    fill.settle(outcome === 'aborted' ? 'abandoned' : outcome === 'failed' ? 'failed' : 'unshared')
  }

  /** The stored response in place of an error, where its terms allow (RFC 5861 §4). */
  #standIn(status: number, cause: unknown): Reply | undefined {
    const { stale, view, policy, key, fill } = this.#run
    const now = this.#core.clock.now()
    if (!stale || now >= stale.ifErrorUntil) return undefined
    const ttl = Math.floor((stale.staleAt - now) / 1000)
    const reply = replyFrom(stale, view, now, statusLine(policy, key, { fwd: 'stale', fwdStatus: status, ttl }))
    if (!reply) return undefined
    fill?.settle('failed')
    this.#core.counters.stale++
    this.#core.events.emit('stale-served', { route: view.route, status, cause })
    return reply
  }

  /** The handler says that what is stored is still right (RFC 9111 §4.3.4). */
  #confirm(head: ResponseHead, stale: CacheRecord): BodyPlan {
    const { view, policy, key, vacancy, fill } = this.#run
    const own = ownFields(head)
    const times = this.#times()
    const terms = responseTerms(
      { status: stale.status, fields: this.#mergedTerms(stale, own) },
      policy,
      this.#overrideMs,
      times.wall,
    )
    const record = confirmRecord(stale, own, terms, policy, times)
    this.#core.counters.revalidated++
    const control = parseCacheControl(own.get('cache-control'))
    if (control.has('no-store') || control.has('private') || this.#skipped !== undefined) {
      fill?.settle('unshared')
    } else {
      const variant = variantOf(view, this.#varyFields(own, head), record.forms[0]!.coding)
      this.#storing = true
      void chain(this.#core.put(key.key, variant, record, vacancy), (outcome) => {
        fill?.settle(outcome === 'stored' && record.staleAt > record.storedAt ? 'stored' : 'unshared')
      })
    }
    const line = statusLine(policy, key, { fwd: 'stale', fwdStatus: 304, stored: true })
    const reply = replyFrom(record, view, times.now, line)
    return reply ? { mode: 'replace', reply } : { mode: 'pass' }
  }

  /** The stored fields with those of a 304 laid over them: what the freshness of the confirmed response is read from. */
  #mergedTerms(stale: CacheRecord, own: Fields): Fields {
    const merged = own.copy()
    for (const name of ['cache-control', 'expires', ...this.#run.policy.targets]) {
      const stored = fieldOf(stale.fields, name)
      if (!merged.has(name) && stored !== undefined) merged.set(name, stored)
    }
    return merged
  }

  /** Stores the response. The record, or the reason why not. */
  #store(head: ResponseHead, own: Fields, body: Uint8Array): MaybePromise<CacheRecord | string> {
    const { view, policy, key, vacancy } = this.#run
    const declared = head.fields.get('content-length')
    if (declared !== undefined && Number(declared) !== body.byteLength) return 'incomplete'
    const response = new ResponseContext(view, head.status, head.fields, body)
    const tags = this.#core.attempt('tags', () => this.#allTags(response, own))
    if (!tags) return 'callback'
    if (policy.storeIf && this.#core.attempt('storeIf', () => policy.storeIf!(response)) !== true) return 'store-if'
    // Without a guard `own` is stored as it is; with one, what the client is told is what later clients are told.
    advertise(own, policy, this.#scope())
    const record = makeRecord({
      view,
      policy,
      status: head.status,
      fields: own,
      body,
      terms: this.#terms!,
      times: this.#times(),
      tags,
      shared: this.#mayShare(head.fields),
    })
    const variant = variantOf(view, this.#varyFields(head.fields, head), codingOf(head.fields))
    // A user who signed in (or out) while the handler ran would otherwise be stored under somebody else's key.
    const again = key.covered ? this.#core.guarded('varyBy', () => cacheKey(view, policy, key.route)) : key
    return chain(again, (now) => {
      if (now?.key !== key.key) return 'key-changed'
      return chain(this.#core.put(key.key, variant, record, vacancy), (outcome) =>
        outcome === 'stored' ? record : outcome === 'fenced' ? 'purged' : 'store-refused',
      )
    })
  }

  #allTags(response: ResponseContext, own: Fields): string[] {
    const { policy } = this.#run
    const given = typeof policy.tags === 'function' ? policy.tags(response) : policy.tags
    const groups = parseGroups(own.lines('cache-groups'))
    const tags = [...given, ...this.#tags]
    for (const tag of tags) {
      if (typeof tag !== 'string' || tag === '') throw new TypeError('a tag must be a non-empty string')
    }
    // RFC 9875: groups are tags in a standard's clothes.
    return [...new Set([...tags, ...groups])]
  }

  #refusal(head: ResponseHead, terms: ResponseTerms): string | undefined {
    const { view, policy, store } = this.#run
    if (this.#skipped !== undefined) return this.#skipped
    if (this.#overrideMs === 0) return 'ttl-zero'
    if (view.method === 'HEAD') return 'head'
    const rules = {
      explicit: terms.explicit,
      ttlRoute: policy.mode === 'route',
      negativeTtl: policy.negativeTtlMs !== undefined,
      authorizationCovered: policy.public || this.#identified() || this.#covers('authorization'),
      directives: terms.directives,
    }
    const reason = notStorable(view, head, rules)
    if (reason !== undefined) return reason
    if (head.length !== undefined && head.length > policy.maxEntryBytes) return 'too-large'
    if (!store) return 'follower'
    return this.#unkeyed(head)
  }

  /** What the guard has to say. */
  #unkeyed(head: ResponseHead): string | undefined {
    const { policy, view } = this.#run
    if (policy.guard === 'off') return undefined
    const vary = parseVary(head.fields.get('vary'))
    const fields = this.#guard.uncovered((name) => vary.includes(name) || this.#covers(name))
    if (fields.length === 0) return undefined
    this.#core.reportUnkeyed(view.route ?? view.path, fields)
    return policy.guard === 'warn' ? undefined : `unkeyed-${fields[0]!.replace('@', '')}`
  }

  #covers(name: string): boolean {
    const { view, policy, key } = this.#run
    return (
      deliveryFields.has(name) ||
      hostFields.includes(name) ||
      policy.ignored.has(name) ||
      key.covered?.has(name) === true ||
      view.keyedFields.includes(name) ||
      (identityReads.has(name) && this.#identified())
    )
  }

  #identified(): boolean {
    return this.#run.key.covered?.has('@identity') === true
  }

  /**
   * The fields that tell variants apart. What earlier middleware put into Vary concerns fields that it sets afresh on each
   * hit, so it counts only when the handler read that field too, or when reads do not count. A handler that read the
   * client's Host makes its answer a variant by it: the key has only the host that matters.
   */
  #varyFields(fields: Fields, head: ResponseHead): readonly string[] {
    const all = parseVary(fields.get('vary'))
    if (all === '*') return []
    const before = parseVary(head.before.get('vary'))
    const named =
      this.#run.policy.guard === 'off' ? all : all.filter((name) => !before.includes(name) || this.#guard.has(name))
    const hosts = hostFields.filter((name) => this.#guard.has(name) && !this.#run.view.keyedFields.includes(name))
    return hosts.length ? [...new Set([...named, ...hosts])].sort() : named
  }

  /** May it answer a request with credentials of somebody else's? */
  #mayShare(fields: Fields): boolean {
    const watched = this.#run.policy.guard === 'on'
    return this.#run.policy.public || this.#identified() || watched || allowsAuthorization(fields)
  }

  /** A response for one user is `private` to every cache but this one. */
  #scope(): 'public' | 'private' {
    const { policy, view } = this.#run
    if (policy.public) return 'public'
    return this.#identified() || this.#covers('authorization') || view.header('authorization') !== undefined
      ? 'private'
      : 'public'
  }

  #pass(head: ResponseHead, reason: string): BodyPlan {
    this.#refuse(reason, head.status)
    const { policy, key, status } = this.#run
    const parts: StatusParts =
      reason === 'authorization' ? { fwd: 'bypass', detail: reason } : { ...status, detail: reason }
    head.fields.append('cache-status', statusLine(policy, key, parts))
    return { mode: 'pass' }
  }

  #refuse(reason: string, status: number): void {
    this.#core.refused(reason, this.#run.view.route)
    this.#run.fill?.settle(status >= 500 ? 'failed' : 'unshared')
  }

  #times(): Times {
    return { startedAt: this.#startedAt, now: this.#core.clock.now(), wall: this.#core.clock.wall() }
  }
}

/** Where a client names the host it wants; HTTP/2 has a field of its own. */
const hostFields: readonly string[] = ['host', ':authority']

/** What the handler can confirm a stored response by; nothing for a tag it never saw. */
function validatorsOf(stale: CacheRecord | undefined): {
  etag?: string | undefined
  lastModified?: string | undefined
} {
  if (!stale) return {}
  const tags = stale.ownTag ? [] : stale.forms.flatMap((form) => form.etag ?? [])
  return { etag: tags.length ? tags.join(', ') : undefined, lastModified: fieldOf(stale.fields, 'last-modified') }
}

function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const given = Number(status ?? statusCode)
  return given >= 400 && given <= 599 ? given : 500
}
