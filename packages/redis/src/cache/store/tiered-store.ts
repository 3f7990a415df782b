import {
  type CacheRecord,
  type CacheStore,
  type Clock,
  everythingTag,
  type FillEnd,
  type InvalidateMode,
  type InventoryItem,
  type InventoryQuery,
  type MaybePromise,
  type MemoryCacheStore,
  recordWith,
  type SetOutcome,
  type StoredForm,
  type StoreOut,
  type StoreUsage,
  type Vacancy,
  type Variant,
  type VariantSelector,
  type VariantSpec,
  type Wants,
} from '@sluice/core'
import { Bus, type BusOptions } from '../invalidation/bus.ts'
import type { Found } from '../lookup/look-ups.ts'
import { parseSpec, specText } from '../lookup/specs.ts'
import type { RedisCacheStore } from './redis-store.ts'

export interface TieredCacheStoreOptions {
  readonly memory: MemoryCacheStore
  readonly redis: RedisCacheStore
  readonly clock: Clock
  /** How long a record is believed without asking Redis. */
  readonly maxTtlMs: number
  /** Over which memory hears of what other processes invalidate. */
  readonly bus: Pick<BusOptions, 'client' | 'listener' | 'changed' | 'leaseMs' | 'beatMs' | 'deadlineMs'>
}

/**
 * Redis with memory in front. Memory answers what is fresh, while this process has the right to; everything else is Redis's.
 * Whoever invalidates waits for those who have that right, so nobody is given anything older afterwards.
 */
export class TieredCacheStore implements CacheStore {
  /** Hears what others invalidate. While it is not live, memory is not used. */
  readonly bus: Bus
  readonly #memory: MemoryCacheStore
  readonly #redis: RedisCacheStore
  readonly #clock: Clock
  readonly #maxTtlMs: number

  constructor({ memory, redis, clock, maxTtlMs, bus }: TieredCacheStoreOptions) {
    this.#memory = memory
    this.#redis = redis
    this.#clock = clock
    this.#maxTtlMs = maxTtlMs
    this.bus = new Bus({
      ...bus,
      lanes: redis.lanes,
      scripts: redis.scripts,
      member: redis.member,
      invalidated: (tags, mode) => memory.invalidate(tags, mode),
      // Nothing that memory holds may be believed, nor what is on its way into it.
      missed: () => memory.invalidate([everythingTag], 'purge'),
    })
  }

  get(key: string, select: VariantSelector, wants?: Wants): MaybePromise<CacheRecord | Vacancy | StoreOut> {
    if (!this.bus.live) return this.#redis.get(key, select, wants)
    const found = this.#memory.get(key, select)
    if (found.kind === 'record') return found
    const before = this.#memory.position(key)
    return this.#redis.find(key, select, wants).then((better) => this.#keep(key, select, better, before))
  }

  held(key: string, select: VariantSelector): CacheRecord | undefined {
    return this.bus.live ? this.#memory.held(key, select) : undefined
  }

  position(key: string): MaybePromise<Vacancy | StoreOut> {
    const before = this.#memory.position(key)
    return this.#redis.position(key).then((vacancy) => vacancy && joined(vacancy, before))
  }

  set(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): MaybePromise<SetOutcome> {
    return this.#redis.set(key, variant, record, vacancy).then((outcome) => {
      const before = memoryPosition(vacancy)
      // What memory holds of the key is of before, whatever became of this one in Redis.
      this.#memory.delete(key)
      if (outcome === 'stored' && before) {
        const spec = parseSpec(this.#redis.specOf(key))
        this.#put(key, { spec, select: variant.select }, record, before)
      }
      return outcome
    })
  }

  /** Memory has it at once. What counts is whether Redis has, from where memory is filled again. */
  addForm(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): MaybePromise<boolean> {
    this.#memory.addForm(key, select, of, form)
    return this.#redis.addForm(key, select, of, form)
  }

  follow(key: string, select: VariantSelector, waitMs: number): MaybePromise<CacheRecord | Vacancy | StoreOut> {
    // Where memory stood when the look-up began that ends the wait is not known here, so memory takes nothing from it.
    const before = this.#memory.position(key)
    return this.#redis.followed(key, select, waitMs).then((found) => this.#keep(key, select, found, before))
  }

  renewal(record: CacheRecord): Vacancy | undefined {
    return this.#redis.renewal(record)
  }

  release(vacancy: Vacancy, ended: FillEnd): void {
    this.#redis.release(vacancy, ended)
  }

  async delete(key: string): Promise<void> {
    this.#memory.delete(key)
    await this.#redis.delete(key)
    this.#memory.delete(key)
  }

  replicated(replicas: number): Promise<number> {
    return this.#redis.replicated(replicas)
  }

  async invalidate(tags: readonly string[], mode: InvalidateMode): Promise<void> {
    if (tags.length === 0) return
    this.#memory.invalidate(tags, mode)
    try {
      await this.#redis.invalidate(tags, mode)
    } finally {
      // Once more: what was read from Redis before it was invalidated there must not stay here.
      this.#memory.invalidate(tags, mode)
    }
  }

  /** What Redis has under the key; without one, what memory holds. */
  async inventory(asked: InventoryQuery): Promise<readonly InventoryItem[]> {
    return asked.key === undefined ? this.#memory.inventory(asked) : this.#redis.inventory(asked)
  }

  /** What memory holds. How much is in Redis is only known to Redis. */
  usage(): StoreUsage {
    return { ...this.#memory.usage(), breakersOpen: this.#redis.usage().breakersOpen, bus: this.bus.figures() }
  }

  async close(): Promise<void> {
    const left = this.bus.close()
    this.#memory.close()
    await left
    await this.#redis.close()
  }

  /** What Redis answered, kept here too where that is safe. */
  #keep(
    key: string,
    select: VariantSelector,
    found: Found | StoreOut,
    before: Vacancy,
  ): CacheRecord | Vacancy | StoreOut {
    if (found === undefined) return undefined
    if (found.kind === 'vacancy') return joined(found.vacancy, before)
    const renewal = this.#redis.renewal(found.record)
    if (this.bus.live && renewal === undefined) {
      const spec = parseSpec(found.spec)
      this.#put(key, { spec, select: () => select(spec) }, found.record, before)
    }
    return found.record
  }

  #put(key: string, variant: Variant, record: CacheRecord, before: Vacancy): void {
    if (!this.bus.live) return
    // Under another spec than Redis has it, a variant could be taken for another: memory follows Redis.
    let held: VariantSpec | undefined
    this.#memory.get(key, (spec) => {
      held = spec
      return ''
    })
    if (held && specText(held) !== specText(variant.spec)) this.#memory.delete(key)
    // What has gone stale here may have been renewed by another process: from then on it is not for memory to answer.
    const deleteAt = Math.min(record.deleteAt, record.staleAt, this.#clock.now() + this.#maxTtlMs)
    this.#memory.set(key, variant, recordWith(record, { deleteAt }), before)
  }
}

/** A vacancy of both: what memory needs rides along in the position that Redis reads. */
function joined(vacancy: Vacancy, before: Vacancy): Vacancy {
  return { ...vacancy, position: { ...(vacancy.position as object), memory: before } }
}

function memoryPosition({ position }: Vacancy): Vacancy | undefined {
  return (position as { memory?: Vacancy } | null | undefined)?.memory
}
