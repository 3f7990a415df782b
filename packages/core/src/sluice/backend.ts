import type { Clock } from '../base/clock.ts'
import { isSluiceError, optionError, type SluiceError } from '../base/errors.ts'
import type { MaybePromise } from '../base/maybe-promise.ts'
import { checkOptions, rule } from '../base/options.ts'
import { MemoryCacheStore } from '../cache/store/memory-store.ts'
import { loadSnapshot, saveSnapshot } from '../cache/store/snapshot.ts'
import type { CacheStore } from '../cache/store/store.ts'
import type { LimitStore } from '../limit/store/store.ts'

/** Where an instance keeps what it knows: in this process, or where several machines find it. */
export interface Backend {
  /** `memory`, `redis`: for messages and statistics. */
  readonly kind: string
  /** The store of the response cache. */
  cacheStore(env: BackendEnv): CacheStore
  /** The store of the limits. Default: the memory of this process. */
  limitStore?(env: Pick<BackendEnv, 'clock' | 'report'>): LimitStore
  /**
   * Resolves when it answers, and at once where there is nothing to wait for. Rejects with a `SluiceError` that says why it
   * does not. Default: there is nothing to wait for.
   */
  ready?(timeoutMs: number): MaybePromise<void>
  /**
   * What it can tell of its server to whoever looks after it, within that time. Default: there is no server.
   *
   * @throws SluiceError where it does not answer in time
   */
  inspect?(timeoutMs: number): Promise<ServerFacts>
  /**
   * A place where processes that share it tell each other how they are, for a page that shows them all. Default: there is none, and
   * such a page shows one process.
   */
  board?(env: Pick<BackendEnv, 'clock'>): Board
  /** After the last request: gives up what it holds (connections, files). */
  close?(): MaybePromise<void>
}

/** Notes of processes, each with an end. Nothing that a request waits for. */
export interface Board {
  /**
   * Puts up a note in place of the last one of that name.
   *
   * @param ttlMs - how long it stays
   * @returns whether anybody has read the board lately, and the time of the board, in milliseconds since 1970
   * @throws SluiceError where it cannot be reached
   */
  post(name: string, note: string, ttlMs: number): Promise<{ readonly watched: boolean; readonly now: number }>
  /** All notes that are up, and their ages in milliseconds. Counts as reading. */
  read(): Promise<ReadonlyMap<string, { readonly note: string; readonly ageMs: number }>>
  /** Takes a note down. */
  remove(name: string): Promise<void>
}

/** What is known of a server that a backend keeps things on; of a Cluster, of one of its nodes. */
export interface ServerFacts {
  /** `Redis`, `Valkey`. */
  readonly product: string
  readonly version: string
  /** `standalone`, `sentinel`, `cluster`. */
  readonly mode: string
  /** `master` or `replica`. */
  readonly role: string
  /** 0: as much as the machine has. */
  readonly maxMemoryBytes: number
  readonly usedMemoryBytes: number
  readonly evictionPolicy: string
  readonly evictedKeys: number
  /** What of it outlives a restart: snapshots, the append-only file, both, neither. */
  readonly persistence: readonly ('rdb' | 'aof')[]
  /** Its clock less this machine's, as near as half a round trip. Milliseconds. */
  readonly clockAheadMs: number
  readonly roundTripMs: number
}

/** What an instance gives its backend. */
export interface BackendEnv {
  readonly clock: Clock
  readonly maxBytes: number
  readonly maxEntryBytes: number
  readonly maxVariants: number
  /** For trouble that must not break anything. */
  report(error: SluiceError): void
}

export interface MemoryOptions {
  /**
   * The file that carries the cache from one run to the next: written by `close()`, read (and used up) at the start.
   * One file per process. Default: none, and every start is a cold one.
   */
  readonly snapshot?: string | undefined
}

const memories = new WeakSet<Backend>()
const direct = new WeakSet<BackendEnv>()

/** The store of a backend for an instance. Between this package's own memory and the instance nobody looks at a record. */
export function cacheStoreOf(backend: Backend, env: BackendEnv): CacheStore {
  if (memories.has(backend)) direct.add(env)
  return backend.cacheStore(env)
}

/**
 * Keeps everything in the memory of this process. The default.
 *
 * A snapshot that is damaged, foreign or of another version is reported (`ERR_SLUICE_SNAPSHOT`) and ignored.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` for an option that does not exist or does not fit
 * @example
 * ```ts
 * const sluice = createSluice({ backend: memory({ snapshot: '.cache/responses' }) })
 * ```
 */
export function memory(options: MemoryOptions = {}): Backend {
  checkOptions<MemoryOptions>('memory', options, { snapshot: rule.string })
  const { snapshot } = options
  const stores: MemoryCacheStore[] = []
  const backend: Backend = {
    kind: 'memory',
    cacheStore(env) {
      if (snapshot !== undefined && stores.length > 0) {
        throw optionError('memory.snapshot', 'must belong to one instance of Sluice; give each its own', snapshot)
      }
      const { clock, maxBytes, maxEntryBytes, maxVariants } = env
      const beforeClose = (store: MemoryCacheStore): void => {
        if (snapshot !== undefined) reporting(env, () => saveSnapshot(snapshot, store, clock))
      }
      const store = new MemoryCacheStore({
        clock,
        maxBytes,
        maxEntryBytes,
        maxVariants,
        beforeClose,
        // Behind a backend of the application's own it may do with records what it likes.
        plain: !direct.has(env),
      })
      if (snapshot !== undefined) reporting(env, () => loadSnapshot(snapshot, store, clock))
      stores.push(store)
      return store
    },
    close() {
      for (const store of stores) store.close()
    },
  }
  memories.add(backend)
  return backend
}

function reporting(env: BackendEnv, run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!isSluiceError(error)) throw error
    env.report(error)
  }
}
