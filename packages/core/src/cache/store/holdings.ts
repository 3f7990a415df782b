import { Eviction, type EvictionOptions } from './eviction/eviction.ts'
import { HeldRecord, type Marker } from './held-record.ts'
import { KeyMap } from './key-map.ts'
import type { Shared } from './shared.ts'

/**
 * The records that are held: by key, and in the order in which they are to leave. Keeps count of what they take, and of
 * what several of them hold together.
 */
export class Holdings {
  readonly #keys = new KeyMap<HeldRecord | Marker>()
  readonly #eviction: Eviction<HeldRecord>
  /** Of markers, and of what is shared by those that are held. */
  #besideBytes = 0

  constructor(options: EvictionOptions<HeldRecord>) {
    this.#eviction = new Eviction(options)
  }

  get entries(): number {
    return this.#eviction.length
  }

  get bytes(): number {
    return this.#eviction.bytes + this.#besideBytes
  }

  get(key: string): HeldRecord | Marker | undefined {
    return this.#keys.get(key)
  }

  /** All records, in no order. What comes and goes meanwhile may be among them or not. */
  *all(): IterableIterator<HeldRecord> {
    for (const held of this.#keys.values()) {
      if (held instanceof HeldRecord) yield held
      else yield* held.all()
    }
  }

  used(record: HeldRecord): void {
    this.#eviction.hit(record)
  }

  /** Puts a record in its place, and in the place of what was there. */
  put(record: HeldRecord): void {
    const { under } = record
    const before = this.#at(record)
    if (before !== undefined) this.#leave(before)
    if (typeof under === 'string') {
      const other = this.#keys.get(under)
      // A key had variants, and has none any more.
      if (other !== undefined && !(other instanceof HeldRecord)) for (const each of [...other.all()]) this.remove(each)
      this.#keys.set(under, record)
    } else {
      if (this.#keys.get(under.key) !== under) {
        this.#keys.set(under.key, under)
        this.#besideBytes += under.size
      }
      under.set(record.secondary!, record)
    }
    this.#enter(record)
    this.#eviction.add(record, before)
  }

  /** Puts a record in the place of one that it is, with other times. */
  exchange(before: HeldRecord, record: HeldRecord): void {
    if (!this.#eviction.has(before)) return
    const { under } = record
    if (typeof under === 'string') this.#keys.set(under, record)
    else under.set(record.secondary!, record)
    this.#enter(record)
    this.#eviction.replace(before, record)
    this.#release(before.common)
    this.#release(before.sharedFields)
  }

  remove(record: HeldRecord): void {
    if (!this.#eviction.has(record)) return
    this.#leave(record)
    const { under } = record
    if (typeof under === 'string') this.#keys.delete(under)
    else if (under.remove(record.secondary!) === 0) {
      this.#keys.delete(under.key)
      this.#besideBytes -= under.size
    }
  }

  /** Lets records go until so many bytes are enough. Answers which did, `undefined` for none. */
  shrinkTo(maxBytes: number): HeldRecord[] | undefined {
    let gone: HeldRecord[] | undefined
    while (this.bytes > maxBytes) {
      const record = this.#eviction.victim()
      if (record === undefined) break
      this.#eviction.forget(record)
      this.remove(record)
      gone ??= []
      gone.push(record)
    }
    this.#eviction.settle(maxBytes - this.bytes + this.#eviction.heldBytes)
    return gone
  }

  /** All that is held, what is to leave last first. */
  byWorth(): HeldRecord[] {
    return this.#eviction.byWorth()
  }

  #at({ under, secondary }: HeldRecord): HeldRecord | undefined {
    if (typeof under !== 'string') return under.get(secondary!)
    const found = this.#keys.get(under)
    return found instanceof HeldRecord ? found : undefined
  }

  #enter(record: HeldRecord): void {
    this.#take(record.common)
    this.#take(record.sharedFields)
  }

  #leave(record: HeldRecord): void {
    this.#eviction.remove(record)
    this.#release(record.common)
    this.#release(record.sharedFields)
  }

  #take(shared: Shared<unknown>): void {
    if (shared.users++ === 0) this.#besideBytes += shared.bytes
  }

  #release(shared: Shared<unknown>): void {
    if (--shared.users === 0) this.#besideBytes -= shared.bytes
  }
}
