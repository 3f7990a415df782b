import type { Cancel, Clock } from '../base/clock.ts'
import { isSluiceError, SluiceError } from '../base/errors.ts'
import { isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { argsKey } from './args-key.ts'
import { type MemoCounts, type MemoParts, newMemoCounts } from './parts.ts'
import { deleteAtOf, type MemoEntry, type MemoStore, type MemoVacancy } from './store.ts'
import type { Held } from './values.ts'

/** How a run of the function ended, for those who waited for it. `again`: look again, and one of you runs. */
type Ended =
  /** `kept`: nothing that concerns it was invalidated meanwhile. Of a value that is not kept, nobody asked. */
  | { readonly kind: 'held'; readonly held: Held; readonly kept: boolean }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'again' }
  /** Its value cannot be copied, or it took too long: run your own, side by side. */
  | { readonly kind: 'alone' }

/** One run of the function that others may wait for. */
interface Flight {
  begun: MemoVacancy | undefined
  readonly ended: Promise<Ended>
  end(how: Ended): void
  /** Something newer is known: it is not kept, and nobody else joins it. */
  superseded: boolean
  stopTimer: Cancel | undefined
}

interface Call {
  readonly self: unknown
  readonly args: readonly unknown[]
  readonly key: string
}

/** How often a call waits for others before it runs the function itself. */
const patience = 3

/** Decides for each call whether what is kept answers it, somebody else's run does, or the function runs. */
export class Computations {
  readonly counts = newMemoCounts()
  readonly #parts: MemoParts
  readonly #store: MemoStore
  readonly #clock: Clock
  readonly #flights = new Map<string, Flight>()
  readonly #objects = new WeakMap<object, number>()
  #objectCount = 0

  constructor(parts: MemoParts) {
    this.#parts = parts
    this.#store = parts.store
    this.#clock = parts.clock
  }

  #count(what: keyof MemoCounts): void {
    this.counts[what]++
    this.#parts.totals[what]++
  }

  call(self: unknown, args: readonly unknown[]): Promise<unknown> {
    try {
      const key = this.keyOf(self, args)
      const found = this.#look(key)
      if (isPromise(found)) return found.then((f) => this.#decide({ self, args, key }, f, 0)) as Promise<unknown>
      // The hit in memory, without a closure.
      if (found?.kind === 'entry' && this.#clock.now() < found.staleAt) {
        this.#count('hits')
        return Promise.resolve(this.#parts.policy.codec.reveal(found.held))
      }
      return this.#decide({ self, args, key }, found, 0)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Runs the function whatever is kept. Later calls join this run; an older one is not kept. */
  async fresh(self: unknown, args: readonly unknown[]): Promise<unknown> {
    const call = { self, args, key: this.keyOf(self, args) }
    this.supersede(call.key)
    return this.#run(call, this.#position(call.key), undefined)
  }

  /** The run under way for a key is not kept and not joined. */
  supersede(key: string): void {
    const flight = this.#flights.get(key)
    if (!flight) return
    flight.superseded = true
    this.#flights.delete(key)
  }

  supersedeAll(): void {
    for (const key of [...this.#flights.keys()]) this.supersede(key)
  }

  /** @throws SluiceError for arguments that have no key */
  keyOf(self: unknown, args: readonly unknown[]): string {
    const { policy } = this.#parts
    const own = policy.key ? argsKey([policy.key(...(args as never[]))]) : argsKey(args)
    const owner = this.#ownerKey(self)
    return owner === '' ? own : `${owner}@${own}`
  }

  #ownerKey(self: unknown): string {
    const { policy, method, local } = this.#parts
    if (typeof self !== 'object' || self === null || policy.ignoreThis) return ''
    if (typeof (self as { cacheKey?: unknown }).cacheKey === 'function') return argsKey([self])
    if (!method) return ''
    if (!local) {
      throw new SluiceError(
        'ERR_SLUICE_INPUT',
        'A memoised method on a shared store must know whose it is, in every process. Give its class a `cacheKey()`, or set `ignoreThis` where the object does not matter.',
      )
    }
    let known = this.#objects.get(self)
    if (known === undefined) {
      known = ++this.#objectCount
      this.#objects.set(self, known)
    }
    return String(known)
  }

  #look(key: string): MaybePromise<MemoEntry | MemoVacancy | undefined> {
    return this.#ask('read', () => this.#store.get(key))
  }

  #decide(call: Call, found: MemoEntry | MemoVacancy | undefined, attempt: number): Promise<unknown> {
    const stale = found?.kind === 'entry' ? found : undefined
    if (stale) {
      const now = this.#clock.now()
      if (now < stale.staleAt) return this.#hit(stale)
      if (now < stale.whileRevalidateUntil) {
        this.#refresh(call, stale)
        return this.#hit(stale)
      }
    }
    const begun = found?.kind === 'vacancy' ? found : stale?.renewal
    const flight = this.#flights.get(call.key)
    if (flight && attempt < patience) {
      this.#release(begun, 'given-up')
      return this.#join(call, flight, found, attempt)
    }
    return this.#run(call, begun ?? this.#position(call.key), stale)
  }

  async #hit(entry: MemoEntry): Promise<unknown> {
    this.#count('hits')
    return this.#parts.policy.codec.reveal(entry.held)
  }

  async #join(
    call: Call,
    flight: Flight,
    found: MemoEntry | MemoVacancy | undefined,
    attempt: number,
  ): Promise<unknown> {
    this.#count('coalesced')
    flight.stopTimer ??= this.#clock.after(this.#parts.policy.timeoutMs, () => flight.end({ kind: 'alone' }))
    const ended = await flight.ended
    switch (ended.kind) {
      case 'held':
        // Something was invalidated between its beginning and this call: the value may be older than that.
        if (!ended.kept && !samePosition(flight.begun, found)) return this.#again(call, attempt)
        return this.#parts.policy.codec.reveal(ended.held)
      case 'failed':
        return this.#insteadOf(ended.error, found?.kind === 'entry' ? found : undefined)
      case 'again':
        return this.#again(call, attempt)
      case 'alone':
        this.#count('misses')
        return this.#apply(call)
    }
  }

  async #again(call: Call, attempt: number): Promise<unknown> {
    return this.#decide(call, await this.#look(call.key), attempt + 1)
  }

  /** Computes it again in the background, unless somebody is at it, here or in another process. */
  #refresh(call: Call, stale: MemoEntry): void {
    const { renewal } = stale
    if (renewal?.held) return
    if (this.#flights.has(call.key)) {
      this.#release(renewal, 'given-up')
      return
    }
    this.#run(call, renewal ?? this.#position(call.key), stale, true).catch((error: unknown) => {
      this.#report('failed to compute a value again; the older one is given out', error)
    })
  }

  /** Runs the function, with others following. `begun`: where it stands in the order of invalidations. */
  #run(
    call: Call,
    begun: MaybePromise<MemoVacancy | undefined>,
    stale: MemoEntry | undefined,
    background = false,
  ): Promise<unknown> {
    const flight = this.#lead(call.key)
    // Not before the position is known: what the function reads must be newer than that.
    return isPromise(begun)
      ? (begun.then((b) => this.#fly(call, b, stale, flight, background)) as Promise<unknown>)
      : this.#fly(call, begun, stale, flight, background)
  }

  async #fly(
    call: Call,
    begun: MemoVacancy | undefined,
    stale: MemoEntry | undefined,
    flight: Flight,
    background: boolean,
  ): Promise<unknown> {
    if (begun?.held) {
      const brought = await this.#follow(call.key)
      if (brought?.kind === 'entry' && this.#clock.now() < brought.staleAt) {
        this.#count('coalesced')
        flight.end({ kind: 'held', held: brought.held, kept: true })
        return this.#parts.policy.codec.reveal(brought.held)
      }
      begun = brought?.kind === 'entry' ? brought.renewal : brought
    }
    this.#count('misses')
    flight.begun = begun
    let value: unknown
    try {
      value = await this.#apply(call)
    } catch (error) {
      // An error does not take the place of a value that may still be given out.
      const lasting = stale !== undefined && this.#clock.now() < deleteAtOf(stale)
      if (lasting || !(await this.#keepError(call, error, begun, flight))) this.#release(begun, 'unshared')
      flight.end({ kind: 'failed', error })
      if (background) throw error
      return this.#insteadOf(error, stale)
    }
    const held = this.#attempt('copy a value', () => this.#parts.policy.codec.hold(value))
    if (held === undefined) {
      this.#release(begun, 'unshared')
      flight.end({ kind: 'alone' })
      return value
    }
    const outcome = await this.#keep(call, value, held, begun, flight)
    flight.end(outcome === 'fenced' ? { kind: 'again' } : { kind: 'held', held, kept: outcome === 'stored' })
    return this.#parts.policy.codec.reveal(held)
  }

  async #apply(call: Call): Promise<unknown> {
    try {
      return await this.#parts.fn.apply(call.self, call.args as unknown[])
    } catch (error) {
      this.#count('errors')
      throw error
    }
  }

  #keep(
    { key, args }: Call,
    value: unknown,
    held: Held,
    begun: MemoVacancy | undefined,
    flight: Flight,
  ): MaybePromise<string | undefined> {
    const { policy } = this.#parts
    if (!begun) return undefined
    const unkept = (ended: 'unshared' | 'given-up'): undefined => this.#release(begun, ended)
    if (flight.superseded) return unkept('given-up')
    if (policy.ttlMs === 0) return unkept('unshared')
    const rest = args as never[]
    if (policy.storeIf && this.#attempt('ask `storeIf`', () => policy.storeIf!(value as never, ...rest)) !== true) {
      return unkept('unshared')
    }
    const tags = this.#attempt('make tags', () => tagsOf(policy.tags, value, rest))
    if (tags === undefined) return unkept('unshared')
    const staleAt = this.#clock.now() + policy.ttlMs * (1 - policy.jitter * Math.random())
    const entry: MemoEntry = {
      kind: 'entry',
      held,
      staleAt,
      whileRevalidateUntil: staleAt + policy.staleWhileRevalidateMs,
      ifErrorUntil: staleAt + policy.staleIfErrorMs,
      tags,
    }
    return this.#ask('store', () => this.#store.set(key, entry, begun))
  }

  #keepError({ key }: Call, error: unknown, begun: MemoVacancy | undefined, flight: Flight): MaybePromise<unknown> {
    const { policy } = this.#parts
    if (policy.cacheErrorsMs === 0 || !begun || flight.superseded) return undefined
    const staleAt = this.#clock.now() + policy.cacheErrorsMs
    const tags = Array.isArray(policy.tags) ? (policy.tags as readonly string[]) : []
    const held: Held = { kind: 'error', error, bytes: 512 }
    const entry: MemoEntry = { kind: 'entry', held, staleAt, whileRevalidateUntil: 0, ifErrorUntil: 0, tags }
    return this.#ask('store', () => this.#store.set(key, entry, begun))
  }

  #position(key: string): MaybePromise<MemoVacancy | undefined> {
    return this.#ask('ask', () => this.#store.position(key))
  }

  /** Waits for another process's run. */
  #follow(key: string): MaybePromise<MemoEntry | MemoVacancy | undefined> {
    return this.#ask('follow', () => this.#store.follow?.(key, this.#parts.policy.timeoutMs))
  }

  /** Lets another process run, where this one had the right to. */
  #release(begun: MemoVacancy | undefined, ended: 'unshared' | 'given-up'): undefined {
    if (begun && !begun.held) this.#ask('release', () => this.#store.release?.(begun, ended))
  }

  /** What a call answers whose run failed: something stale, within its window, else the error. */
  #insteadOf(error: unknown, stale: MemoEntry | undefined): unknown {
    if (stale === undefined || stale.held.kind === 'error' || this.#clock.now() >= stale.ifErrorUntil) throw error
    return this.#parts.policy.codec.reveal(stale.held)
  }

  #lead(key: string): Flight {
    let end!: (how: Ended) => void
    const ended = new Promise<Ended>((resolve) => {
      end = resolve
    })
    const flight: Flight = {
      begun: undefined,
      ended,
      superseded: false,
      stopTimer: undefined,
      end: (how) => {
        flight.stopTimer?.()
        // One that took too long is given up: the next call begins anew, and must not be overwritten by this.
        if (how.kind === 'alone') flight.superseded = true
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        end(how)
      },
    }
    // Side by side (after much waiting) the later one is the one to follow.
    this.#flights.set(key, flight)
    return flight
  }

  /** Asks the store. `undefined`, and an event, where it fails: the function then runs, and nothing is kept. */
  #ask<T>(what: string, fn: () => MaybePromise<T>): MaybePromise<T | undefined> {
    const failed = (error: unknown): undefined => {
      this.#parts.report(problem('ERR_SLUICE_STORE', `The store of a memo failed to ${what}`, error))
    }
    try {
      const result = fn()
      return isPromise(result) ? result.then((value) => value, failed) : result
    } catch (error) {
      return failed(error)
    }
  }

  #attempt<T>(what: string, fn: () => T): T | undefined {
    try {
      return fn()
    } catch (error) {
      this.#report(`could not ${what}, which is given out and not kept`, error)
      return undefined
    }
  }

  #report(what: string, error: unknown): void {
    const name = this.#parts.policy.name ?? this.#parts.fn.name
    this.#parts.report(problem('ERR_SLUICE_CALLBACK', `The memo of \`${name || '(anonymous)'}\` ${what}`, error))
  }
}

/** Whether nothing at all was invalidated between the two. Of a store whose positions are not comparable: no. */
function samePosition(begun: MemoVacancy | undefined, found: MemoEntry | MemoVacancy | undefined): boolean {
  return begun !== undefined && found?.kind === 'vacancy' && begun.position === found.position
}

/** @throws TypeError for tags that are none */
function tagsOf(source: MemoParts['policy']['tags'], value: unknown, args: readonly never[]): readonly string[] {
  const made = typeof source === 'function' ? source(value as never, ...args) : source
  const tags = typeof made === 'string' ? [made] : made
  for (const tag of tags) {
    if (typeof tag !== 'string' || tag === '') throw new TypeError('a tag must be a non-empty string')
  }
  return tags
}

function problem(code: 'ERR_SLUICE_STORE' | 'ERR_SLUICE_CALLBACK', what: string, cause: unknown): SluiceError {
  if (isSluiceError(cause)) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(code, `${what}: ${message}.`, { cause })
}
