import { type Clock, systemClock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { Events } from '../base/events.ts'
import { checkOptions, checkSecret, rule } from '../base/options.ts'
import { byteSize, type Duration, durationMs } from '../base/units.ts'
import { type CacheSettings, checkCacheSettings } from '../cache/policy/options.ts'
import { type CacheStats, ResponseCache } from '../cache/response-cache.ts'
import { type DeferOptions, Deferred, type DeferStats } from '../defer/deferred.ts'
import { Identity, type IdentityFunction } from '../exchange/client/identity.ts'
import { createLimiter, type Limiter } from '../limit/limiter.ts'
import type { LimitStats } from '../limit/limiter-stats.ts'
import { checkHeaders, type HeaderStyle, type PolicyInput } from '../limit/policy/options.ts'
import { type MemoCounts, newMemoCounts } from '../memo/parts.ts'
import { Pages } from '../page/pages.ts'
import { createShedder, type Shedder, type ShedStats } from '../shed/shedder.ts'
import { type Backend, cacheStoreOf, memory } from './backend.ts'
import { warnWorker } from './cluster-worker.ts'
import type { InstanceEvents } from './instance-events.ts'
import { Log } from './log/log.ts'
import { createMemos, type Memos } from './memos.ts'

/** What `createSluice` is given. */
export interface SluiceOptions {
  /** Where responses and counts are kept. Default `memory()`: in this process. */
  backend?: Backend | undefined
  /** The size of the cache, and defaults for every route's options. */
  cache?: CacheSettings | undefined
  /** Rate limit policies by name, for `sluice.limit(name)`: a rate, or an object of options. */
  limits?: Readonly<Record<string, PolicyInput>> | undefined
  /** Which fields tell clients about their quota. Default `'draft-11'`. */
  headers?: HeaderStyle | undefined
  /**
   * What the keys of limits are hashed with, so that no addresses stand in a store, and what cursors are signed with.
   * Processes that share a store, or serve the same lists, must share it. At least 16 bytes, as random as can be. Default: random in memory; of limits on Redis
   * the store's own.
   */
  secret?: string | undefined
  /**
   * Names a signed-in user for `by.user`, in caches and limits: `(user) => user.account.number`. Needed only where the user
   * object has none of the usual names. The answer is the whole name: put tenant and roles into it where they tell answers
   * apart. `undefined`: it cannot be told, and nothing is stored for this user. Default: `id`, `sub`, `_id`, `uid`,
   * `userId`, `uuid`, `username`, `login` or `email`, within issuer, tenant, organisation and realm.
   */
  identity?: IdentityFunction | undefined
  /** How much work `sluice.defer` runs at a time, and how much may wait. */
  defer?: DeferOptions | undefined
  /** Where time comes from. Default: the system's, through whatever fake timers are installed. For tests. */
  clock?: Clock | undefined
}

/** What `sluice.ready()` is given. */
export interface ReadyOptions {
  /** How long to wait for the backend. Default `'10s'`. */
  timeout?: Duration | undefined
}

/** What `sluice.stats()` answers: a copy, safe to keep. */
export interface SluiceStats {
  readonly cache: CacheStats
  readonly limits: LimitStats
  readonly shed: ShedStats
  readonly defer: DeferStats
  /** Calls of all memos together. */
  readonly memos: Readonly<MemoCounts>
}

/** Everything of one instance that is not bound to a framework. */
export class Engine {
  readonly clock: Clock
  readonly events: Events<InstanceEvents>
  readonly cache: ResponseCache
  readonly limiter: Limiter
  readonly shedder: Shedder
  readonly memos: Memos
  readonly deferred: Deferred
  readonly pages: Pages
  readonly log: Log
  readonly backend: Backend
  /** Whether an application's secret was given. */
  readonly hasSecret: boolean
  readonly #memoCounts = newMemoCounts()
  #countsAlone: boolean
  readonly #closing: (() => unknown)[] = []
  #closed: Promise<void> | undefined

  /** @throws SluiceError when an option is wrong: at start-up, and never later */
  constructor(options: SluiceOptions = {}) {
    checkOptions<SluiceOptions>('', options, {
      backend: isBackend,
      cache: rule.object,
      limits: rule.object,
      headers: checkHeaders,
      secret: rule.string,
      identity: rule.function,
      defer: rule.object,
      clock: rule.object,
    })
    checkSecret('secret', options.secret)
    const settings = options.cache ?? {}
    checkCacheSettings(settings)
    this.clock = options.clock ?? systemClock()
    this.events = new Events()
    const backend = options.backend ?? memory()
    this.backend = backend
    this.hasSecret = options.secret !== undefined
    const report = (error: SluiceError): void => this.events.emit('error', { error })
    const identity = new Identity(options.identity, report)
    const store = cacheStoreOf(backend, {
      clock: this.clock,
      maxBytes: byteSize('cache.maxBytes', settings.maxBytes ?? '64mb'),
      // Routes say themselves how large a body may be; the store refuses only what it could not hold.
      maxEntryBytes: byteSize('cache.maxBytes', settings.maxBytes ?? '64mb'),
      maxVariants: settings.maxVariants ?? 16,
      report,
    })
    const { maxBytes: _, ...defaults } = settings
    this.cache = new ResponseCache(store, this.clock, this.events, defaults, identity)
    this.limiter = createLimiter({
      limits: options.limits,
      headers: options.headers,
      secret: options.secret,
      clock: this.clock,
      events: this.events,
      identity,
      store: backend.limitStore?.({ clock: this.clock, report }),
    })
    this.#countsAlone = backend.kind === 'memory'
    if (Object.keys(options.limits ?? {}).length > 0) this.limits()
    this.shedder = createShedder({ clock: this.clock, events: this.events })
    this.pages = new Pages(options.secret)
    this.memos = createMemos({ store, clock: this.clock, totals: this.#memoCounts, report })
    this.deferred = new Deferred(options.defer ?? {}, this.clock, report)
    this.log = new Log(this.events, this.clock)
    this.#closing.push(
      // First: what is left to do may still need the rest.
      () => this.deferred.close(),
      () => this.shedder.close(),
      () => this.limiter.close(),
      () => this.cache.close(),
      () => store.close(),
      () => backend.close?.(),
      () => this.log.close(),
    )
  }

  stats(): SluiceStats {
    return {
      cache: this.cache.stats(),
      limits: this.limiter.stats(),
      shed: this.shedder.stats(),
      defer: this.deferred.stats(),
      memos: { ...this.#memoCounts },
    }
  }

  /** There are limits: warns, once, where each of several processes counts for itself. */
  limits(): void {
    if (this.#countsAlone) warnWorker()
    this.#countsAlone = false
  }

  /** @throws SluiceError that says why the backend does not answer; `ERR_SLUICE_CLOSED` after `close()` */
  async ready(options: ReadyOptions = {}): Promise<void> {
    checkOptions<ReadyOptions>('ready', options, { timeout: rule.readableBy(durationMs, 'ready.timeout') })
    const timeoutMs = durationMs('ready.timeout', options.timeout ?? '10s')
    if (this.#closed) throw new SluiceError('ERR_SLUICE_CLOSED', 'Nothing gets ready after close().')
    await this.backend.ready?.(timeoutMs)
  }

  /** Calls back when this is closed, before anything of it is, and waits for what that answers; at once where it is closed. */
  whenClosed(run: () => unknown): void {
    if (this.#closed) run()
    else this.#closing.unshift(run)
  }

  /** Saves and frees what has to be saved and freed. A second call answers the first's promise. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      for (const close of this.#closing) await close()
    })()
    return this.#closed
  }
}

function isBackend(value: unknown): string | undefined {
  const backend = value as Partial<Backend> | null
  return typeof backend === 'object' && typeof backend?.cacheStore === 'function'
    ? undefined
    : 'must be a backend such as memory() or redis(url)'
}
