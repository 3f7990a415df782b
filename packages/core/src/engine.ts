import { type Backend, memory } from './backend.ts'
import { type CacheSettings, checkCacheSettings } from './cache/options.ts'
import { type CacheStats, ResponseCache } from './cache/response-cache.ts'
import { type Clock, systemClock } from './clock.ts'
import { Events, type SluiceEvents } from './events.ts'
import { checkOptions, rule } from './options.ts'
import { byteSize } from './units.ts'

/** What `createSluice` is given. */
export interface SluiceOptions {
  /** Where responses and counts are kept. Default `memory()`: in this process. */
  backend?: Backend | undefined
  /** The size of the cache, and defaults for every route's options. */
  cache?: CacheSettings | undefined
  /** Where time comes from. Default: the system's, through whatever fake timers are installed. For tests. */
  clock?: Clock | undefined
}

/** What `sluice.stats()` answers: a copy, safe to keep. */
export interface SluiceStats {
  readonly cache: CacheStats
}

/** Everything of one instance that is not bound to a framework. */
export class Engine {
  readonly clock: Clock
  readonly events: Events<SluiceEvents>
  readonly cache: ResponseCache
  readonly #closing: (() => unknown)[] = []
  #closed: Promise<void> | undefined

  /** @throws SluiceError when an option is wrong: at start-up, and never later */
  constructor(options: SluiceOptions = {}) {
    checkOptions('', options, { backend: isBackend, cache: rule.object, clock: rule.object })
    const settings = options.cache ?? {}
    checkCacheSettings(settings)
    this.clock = options.clock ?? systemClock()
    this.events = new Events()
    const backend = options.backend ?? memory()
    const store = backend.cacheStore({
      clock: this.clock,
      maxBytes: byteSize('cache.maxBytes', settings.maxBytes ?? '64mb'),
      // Routes say themselves how large a body may be; the store refuses only what it could not hold.
      maxEntryBytes: byteSize('cache.maxBytes', settings.maxBytes ?? '64mb'),
      maxVariants: settings.maxVariants ?? 64,
      report: (error) => this.events.emit('error', { error }),
    })
    const { maxBytes: _, maxVariants: __, ...defaults } = settings
    this.cache = new ResponseCache(store, this.clock, this.events, defaults)
    this.#closing.push(
      () => store.close(),
      () => backend.close?.(),
    )
  }

  stats(): SluiceStats {
    return { cache: this.cache.stats() }
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
