import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { RequestContext } from '../../exchange/context.ts'
import type { Opening, Pipeline, Reply } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { isSafeMethod } from '../../http/methods.ts'
import type { CacheCore } from '../cache-core.ts'
import type { CacheRecord } from '../entry/record.ts'
import { FillExchange, type Run } from '../fill/fill-exchange.ts'
import { PassExchange } from '../fill/pass-exchange.ts'
import type { Fill, FillResult } from '../fill/single-flight.ts'
import { invalidateTarget } from '../invalidation.ts'
import { type CacheKey, cacheKey, type NoKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { type RequestTerms, requestTerms } from '../policy/request-directives.ts'
import { variantSelector } from '../policy/variant.ts'
import { type StatusParts, statusLine } from '../status-line.ts'
import type { Vacancy, VariantSelector, Wants } from '../store/store.ts'
import { replyFrom, replyToHit } from './reply.ts'
import { standIn } from './stale-if-error.ts'

/** A background refresh: the request it makes carries this, and the cache knows it again by it. */
interface Ticket {
  readonly cache: CachePipeline
  readonly key: string
  readonly fill: Fill
  readonly stale: CacheRecord
  /** Where the look-up learnt it already. */
  readonly vacancy: Vacancy | undefined
}

/** `hit`, or what a request that waited for another's handler says. */
function hitParts(record: CacheRecord, now: number, attempt: number): StatusParts {
  const ttl = Math.floor((record.staleAt - now) / 1000)
  return attempt > 0 ? { fwd: 'uri-miss', collapsed: true, ttl } : { hit: true, ttl }
}

/** The selector of a request, and what it last selected. */
function chooser(view: RequestView): { select: VariantSelector; variant: () => string } {
  const select = variantSelector(view)
  let variant = ''
  return {
    select: (spec) => {
      variant = select(spec)
      return variant
    },
    variant: () => variant,
  }
}

const leaseToo: Wants = { lease: true }
const noLease: Wants = { lease: false }

/** How often a request waits for others before it runs its own handler. */
const patience = 3

/** One `sluice.cache(...)`: decides for each request whether the store answers it or its handler runs. */
export class CachePipeline implements Pipeline {
  readonly name = 'cache'
  readonly #core: CacheCore
  readonly #policy: CachePolicy
  readonly #hitLine = (ttl: number): string => statusLine(this.#policy, undefined, { hit: true, ttl })

  constructor(core: CacheCore, policy: CachePolicy) {
    this.#core = core
    this.#policy = policy
  }

  open(view: RequestView): MaybePromise<Opening> {
    const policy = this.#policy
    if (view.ticket !== undefined) return this.#openRefresh(view, view.ticket as Ticket)
    if (!policy.methods.includes(view.method)) return this.#otherMethod(view)
    if (policy.unless && this.#core.attempt('unless', () => !policy.unless!(new RequestContext(view))) !== true) {
      return this.#bypass('unless')
    }
    // RFC 9111 §4.3.2: a cache does not evaluate these; they are the origin's.
    if (view.header('if-match') !== undefined || view.header('if-unmodified-since') !== undefined) {
      return this.#bypass('precondition')
    }
    return this.#withKey(view, (key) => this.#lookUp(view, key, 0))
  }

  #withKey(view: RequestView, next: (key: CacheKey) => MaybePromise<Opening>): MaybePromise<Opening> {
    const use = (made: CacheKey | NoKey | undefined): MaybePromise<Opening> =>
      made?.key === undefined ? this.#bypass(made?.reason ?? 'callback') : next(made as CacheKey)
    return chain(
      this.#core.guarded('varyBy', () => cacheKey(view, this.#policy)),
      use,
    )
  }

  /** @param attempt - how often this request has waited for others already */
  #lookUp(view: RequestView, key: CacheKey, attempt: number): MaybePromise<Opening> {
    const chosen = chooser(view)
    // Whoever cannot fill must not keep other processes from it. A store of this process alone has no leases.
    const wants = this.#core.store.follow && (this.#mayFill(view, key) ? leaseToo : noLease)
    const found = this.#core.ask('read', () => this.#core.store.get(key.key, chosen.select, wants))
    return chain(found, (record) => this.#decide(view, key, record, chosen.variant(), attempt))
  }

  #decide(
    view: RequestView,
    key: CacheKey,
    found: CacheRecord | Vacancy | undefined,
    variant: string,
    attempt: number,
  ): MaybePromise<Opening> {
    if (found === undefined) return this.#bypass('store')
    const terms = this.#policy.honourRequest ? requestTerms(view) : undefined
    if (terms?.noStore) {
      this.#core.release(this.#vacancyOf(found))
      return this.#bypass('request')
    }
    const place = `${key.key}${variant}`
    if (found.kind === 'vacancy') {
      if (terms?.onlyIfCached) return { kind: 'reply', reply: this.#gatewayTimeout(key, found) }
      const fwd = found.reason === 'vary' ? 'vary-miss' : 'uri-miss'
      return this.#miss(view, key, place, { fwd }, undefined, attempt, found)
    }
    if (!found.shared && this.#needsAuthorization(view, key)) {
      const status: StatusParts = { fwd: 'bypass', detail: 'authorization' }
      return this.#runAlone(view, key, { status, ownConditions: false })
    }
    const now = this.#core.clock.now()
    if (now < found.staleAt) {
      if (!terms?.refuses(found, now)) return this.#hit(view, key, place, found, now, attempt)
      return this.#stale(view, key, place, found, now, attempt, terms, this.#vacancyOf(found))
    }
    const vacancy = this.#vacancyOf(found)
    if (terms?.accepts(found, now)) {
      this.#core.release(vacancy)
      return this.#hit(view, key, place, found, now, attempt)
    }
    return this.#stale(view, key, place, found, now, attempt, terms, vacancy)
  }

  /** What a fill may present, as far as the look-up has told. */
  #vacancyOf(found: CacheRecord | Vacancy): Vacancy | undefined {
    return found.kind === 'vacancy' ? found : this.#core.store.renewal?.(found)
  }

  #hit(
    view: RequestView,
    key: CacheKey,
    place: string,
    record: CacheRecord,
    now: number,
    attempt: number,
  ): MaybePromise<Opening> {
    const ready = this.#core.forms.forHit(key.key, place, record, view, () => variantSelector(view))
    return chain(ready, (held) => this.#send(view, key, place, held, now, attempt))
  }

  #send(
    view: RequestView,
    key: CacheKey,
    place: string,
    record: CacheRecord,
    now: number,
    attempt: number,
  ): MaybePromise<Opening> {
    const policy = this.#policy
    const reply =
      attempt > 0 || policy.showKey
        ? replyFrom(record, view, now, statusLine(policy, key, hitParts(record, now, attempt)))
        : replyToHit(record, view, now, this.#core.heads, policy, this.#hitLine)
    // The coding held is one this client refuses: the store tells codings apart, so this is an empty Accept-Encoding list.
    if (!reply) return this.#runAlone(view, key, { status: { fwd: 'vary-miss' }, ownConditions: false })
    const { counters } = this.#core
    if (attempt > 0) counters.coalesced++
    else if (now < record.staleAt) counters.hits++
    else counters.stale++
    if (reply.status !== record.status) counters.notModified++
    const { earlyRefresh } = policy
    if (earlyRefresh > 0 && now - record.fillMs * earlyRefresh * Math.log(Math.random()) >= record.staleAt) {
      this.#refresh(view, key, place, record)
    }
    return { kind: 'reply', reply }
  }

  /** Stored, but it may not be used without asking. */
  #stale(
    view: RequestView,
    key: CacheKey,
    place: string,
    record: CacheRecord,
    now: number,
    attempt: number,
    terms: RequestTerms | undefined,
    vacancy: Vacancy | undefined,
  ): MaybePromise<Opening> {
    if (terms?.onlyIfCached) return { kind: 'reply', reply: this.#gatewayTimeout(key, vacancy) }
    const status: StatusParts = { fwd: terms && now < record.staleAt ? 'request' : 'stale' }
    if (!terms?.refuses(record, now) && now < record.whileRevalidateUntil && this.#canRefresh(view)) {
      this.#refresh(view, key, place, record, vacancy)
      return this.#hit(view, key, place, record, now, 0)
    }
    if (this.#policy.timeoutGiven && now < record.ifErrorUntil && attempt === 0) {
      // Out of line, so that the client can be answered in time whatever the handler does.
      const fill = this.#refresh(view, key, place, record, vacancy)
      if (fill) return fill.wait().then((result) => this.#followed(view, key, result, record, attempt))
    }
    return this.#miss(view, key, place, status, record, attempt, vacancy)
  }

  #miss(
    view: RequestView,
    key: CacheKey,
    place: string,
    status: StatusParts,
    stale: CacheRecord | undefined,
    attempt: number,
    vacancy: Vacancy | undefined,
  ): MaybePromise<Opening> {
    this.#core.counters.misses++
    if (view.method === 'HEAD' || view.header('range') !== undefined) {
      return this.#runAlone(view, key, { status, ownConditions: false, vacancy })
    }
    const { fills } = this.#core
    if (!this.#mayFill(view, key) || fills.sideBySide(place) || attempt >= patience || vacancy?.lease === 'open') {
      // Others may try: what this request brings is for itself, though it is stored where that goes.
      this.#core.release(vacancy)
      return this.#runAlone(view, key, { status, stale, ownConditions: true, vacancy })
    }
    const running = fills.running(place)
    if (running) {
      this.#core.release(vacancy)
      return running.wait().then((result) => this.#followed(view, key, result, stale, attempt))
    }
    const fill = fills.lead(place, this.#policy.timeoutMs)
    if (vacancy?.lease === 'held') return this.#follow(view, key, status, stale, attempt, fill)
    return this.#runAlone(view, key, { status, stale, fill, ownConditions: true, vacancy })
  }

  /** Another process is at it. One request of this process waits for it, on behalf of all the others that want the same. */
  #follow(
    view: RequestView,
    key: CacheKey,
    status: StatusParts,
    stale: CacheRecord | undefined,
    attempt: number,
    fill: Fill,
  ): MaybePromise<Opening> {
    const { store } = this.#core
    const chosen = chooser(view)
    const found = this.#core.ask('read', () => store.follow?.(key.key, chosen.select, this.#policy.timeoutMs))
    return chain(found, (record) => {
      if (record === undefined) {
        fill.settle('timeout')
        return this.#bypass('store')
      }
      const vacancy = this.#vacancyOf(record)
      if (!vacancy) {
        fill.settle('stored')
        return this.#decide(view, key, record, chosen.variant(), attempt + 1)
      }
      const run = { status, stale: record.kind === 'record' ? record : stale, ownConditions: true, vacancy }
      if (vacancy.lease === 'taken') return this.#runAlone(view, key, { ...run, fill })
      const waited = vacancy.lease === 'held'
      fill.settle(waited ? 'timeout' : 'unshared')
      return this.#runAlone(view, key, { ...run, store: !waited })
    })
  }

  /** The fill this request waited for has ended. */
  #followed(
    view: RequestView,
    key: CacheKey,
    result: FillResult,
    stale: CacheRecord | undefined,
    attempt: number,
  ): MaybePromise<Opening> {
    if (result === 'stored' || result === 'abandoned') return this.#lookUp(view, key, attempt + 1)
    const run = (): MaybePromise<Opening> =>
      this.#runAlone(view, key, {
        status: { fwd: stale ? 'stale' : 'uri-miss' },
        store: result !== 'timeout',
        ownConditions: true,
      })
    if (!stale || result === 'unshared') return run()
    return chain(standIn(this.#core, this.#policy, view, key, { status: 504, detail: result }), (reply) =>
      reply ? { kind: 'reply', reply } : run(),
    )
  }

  /** Goes to the handler; `fill`, where given, has others waiting for it. */
  #runAlone(
    view: RequestView,
    key: CacheKey,
    run: Pick<Run, 'status' | 'ownConditions'> &
      Partial<Pick<Run, 'fill' | 'stale' | 'store'>> & { readonly vacancy?: Vacancy | undefined },
  ): MaybePromise<Opening> {
    // The position is taken before the handler reads anything: a purge from here on makes the store a no-op.
    const vacancy = run.vacancy ?? this.#core.ask('read', () => this.#core.store.position(key.key))
    return chain(vacancy, (position): Opening => {
      if (!position) {
        run.fill?.settle('unshared')
        return this.#bypass('store')
      }
      const exchange = new FillExchange(this.#core, {
        store: true,
        ...run,
        view,
        policy: this.#policy,
        key,
        vacancy: position,
      })
      return { kind: 'proceed', exchange }
    })
  }

  #canRefresh(view: RequestView): boolean {
    return view.refresh !== undefined && view.method === 'GET'
  }

  /** Makes the request again without a client, unless one is under way. The fill to wait for, where there is one. */
  #refresh(
    view: RequestView,
    key: CacheKey,
    place: string,
    stale: CacheRecord,
    vacancy?: Vacancy | undefined,
  ): Fill | undefined {
    const { fills, counters } = this.#core
    const running = fills.running(place)
    // Another process refreshes it: this one will find what it brings.
    if (!running && vacancy?.lease === 'held') return undefined
    if (running || !this.#canRefresh(view) || fills.sideBySide(place)) {
      if (running) this.#core.release(vacancy)
      return running
    }
    const fill = fills.lead(place, this.#policy.timeoutMs, true)
    counters.refreshes++
    const ticket: Ticket = { cache: this, key: key.key, fill, stale, vacancy }
    void view.refresh!(ticket).then(() => {
      // Where the request never came back to this cache (an outer guard refused it), the wait ends here.
      fill.settle('failed')
      this.#core.release(vacancy)
    })
    return fill
  }

  #openRefresh(view: RequestView, ticket: Ticket): MaybePromise<Opening> {
    if (ticket.cache !== this) return { kind: 'proceed', exchange: new PassExchange(undefined) }
    return this.#withKey(view, (key) => {
      if (key.key !== ticket.key) return { kind: 'proceed', exchange: new PassExchange(undefined) }
      const { fill, stale, vacancy } = ticket
      return this.#runAlone(view, key, { status: { fwd: 'stale' }, stale, fill, ownConditions: true, vacancy })
    })
  }

  /** Its answer may become everybody's. A HEAD has no body to store, and a range of a body is not the body. */
  #mayFill(view: RequestView, key: CacheKey): boolean {
    return view.method !== 'HEAD' && view.header('range') === undefined && !this.#needsAuthorization(view, key)
  }

  /** Credentials were sent, and nothing says yet that the answer is the same for everybody. */
  #needsAuthorization(view: RequestView, key: CacheKey): boolean {
    if (this.#policy.public || view.header('authorization') === undefined) return false
    return !key.covered?.has('@identity') && !key.covered?.has('authorization')
  }

  #bypass(detail: string): Opening {
    this.#core.counters.bypassed++
    return {
      kind: 'proceed',
      exchange: new PassExchange(statusLine(this.#policy, undefined, { fwd: 'bypass', detail })),
    }
  }

  #otherMethod(view: RequestView): Opening {
    const line = statusLine(this.#policy, undefined, { fwd: 'method' })
    this.#core.counters.bypassed++
    if (isSafeMethod(view.method)) return { kind: 'proceed', exchange: new PassExchange(line) }
    return { kind: 'proceed', exchange: invalidateTarget(this.#core, view, line) }
  }

  #gatewayTimeout(key: CacheKey, vacancy: Vacancy | undefined): Reply {
    this.#core.release(vacancy)
    const line = statusLine(this.#policy, key, { detail: 'only-if-cached' })
    return { status: 504, fields: ['Cache-Control', 'no-store', 'Cache-Status', line], body: new Uint8Array(0) }
  }
}
