import { type Linked, Queue } from '../../../base/queue.ts'
import { FrequencySketch, hashOf, most } from './sketch.ts'

/** What the policy keeps in an entry. */
export interface Evictable<N> extends Linked<N> {
  /** How often it was asked for lately (4 bits), where it is (2 bits), and since when that count holds (the rest). */
  heat: number
  /** What it is known by, also when it comes again. */
  readonly name: string
}

export interface EvictionOptions<N> {
  readonly maxBytes: number
  /** Whether nobody wants it any more: such a one leaves first. */
  readonly isOver: (node: N) => boolean
  /** What it is worth to have it once it is asked for, in proportion to the others. Default: the same for all. */
  readonly worth?: ((node: N) => number) | undefined
}

const countBits = 15
const inWindow = 16
const inMain = 32
const place = inWindow | inMain
const epochAt = 6
const epochMask = 0xffffff

/** What of the bytes is for newcomers, before they are compared with what is there. */
const windowShare = 0.01
/** How many entries are compared for the next that must leave. */
const compared = 8
/** After how many accesses per entry the counts are halved. */
const accessesPerEntry = 15

/**
 * Who leaves when memory is full: W-TinyLFU with a clock for its main part. What is new stands in a window of 1 %. What
 * the window has no room for must have been asked for more often than what it would push out, or it leaves instead: so one
 * client who asks for ever new things pushes out nothing that is asked for twice.
 *
 * A hit counts in the entry, and moves nothing: no other entry is touched, and none at all where its count is at its end.
 * What has left is remembered in a sketch. All counts are halved now and then, each when it is next looked at. No step takes
 * longer for more entries.
 *
 * docs/decisions/0021 has the trial against LRU, SIEVE and W-TinyLFU.
 */
export class Eviction<N extends Evictable<N>> {
  readonly #window = new Queue<N>()
  readonly #main = new Queue<N>()
  readonly #isOver: (node: N) => boolean
  readonly #worth: ((node: N) => number) | undefined
  readonly #windowBytes: number
  readonly #seed = Math.floor(Math.random() * 2 ** 32)
  /** Made when something first has to leave: until then all that was asked for is there. */
  #sketch: FrequencySketch | undefined
  #hand: N | undefined
  #epoch = 0
  #accesses = 0

  constructor(options: EvictionOptions<N>) {
    this.#isOver = options.isOver
    this.#worth = options.worth
    this.#windowBytes = options.maxBytes * windowShare
  }

  get length(): number {
    return this.#window.length + this.#main.length
  }

  /** What the entries count. */
  get heldBytes(): number {
    return this.#window.bytes + this.#main.bytes
  }

  /** The same, and what is remembered of those that left. */
  get bytes(): number {
    return this.heldBytes + (this.#sketch?.bytes ?? 0)
  }

  hit(node: N): void {
    this.#accesses++
    const { heat } = node
    if (((heat >>> epochAt) & epochMask) !== this.#epoch)
      node.heat = this.#aged(node) + (this.#countOf(node) < most ? 1 : 0)
    else if ((heat & countBits) !== most) node.heat = heat + 1
  }

  /** @param before - the entry that it takes the place of: what is known of that one is known of it */
  add(node: N, before?: N): void {
    this.#accesses++
    let count = before === undefined ? 0 : this.#countOf(before)
    if (this.#sketch !== undefined) {
      const hash = hashOf(node.name, this.#seed)
      count = Math.max(count, this.#sketch.count(hash))
      this.#sketch.raise(hash, Math.min(most, count + 1))
      this.#sketch.work()
    }
    if (this.#accesses >= Math.max(64, this.length) * accessesPerEntry) this.#turn()
    node.heat = (this.#epoch << epochAt) | inWindow | Math.min(most, count + 1)
    this.#window.add(node)
  }

  remove(node: N): void {
    if (node.heat & inWindow) this.#window.remove(node)
    else {
      if (this.#hand === node) this.#hand = node.newer
      this.#main.remove(node)
    }
    node.heat &= ~place
  }

  /** Whether it is among what this keeps. */
  has(node: N): boolean {
    return (node.heat & place) !== 0
  }

  /** Puts an entry in the place of another, for it is the same and only looks different. */
  replace(node: N, next: N): void {
    next.heat = node.heat
    if (this.#hand === node) this.#hand = next
    const queue = node.heat & inWindow ? this.#window : this.#main
    queue.replace(node, next)
    node.heat &= ~place
  }

  /**
   * Who has to leave next. `undefined` where there is nobody. The newest entry is the last: what was just stored is there.
   * Removes nothing.
   */
  victim(): N | undefined {
    this.#remember()
    const oldest = this.#window.oldest
    const candidate = oldest === this.#window.newest ? undefined : oldest
    if (candidate === undefined || this.#window.bytes <= this.#windowBytes) return this.#coldest() ?? oldest
    if (this.#isOver(candidate)) return candidate
    const other = this.#coldest()
    if (other === undefined) return candidate
    return this.#isOver(other) || this.#beats(candidate, other) ? other : candidate
  }

  /** What was a victim has left, and what is known of it is remembered. */
  forget(node: N): void {
    this.#sketch?.raise(hashOf(node.name, this.#seed), this.#countOf(node))
  }

  /**
   * When there is room for all that is held: what has no place in the window, and has beaten as many as it is large, has
   * found one. A large one that has not waits for who is next.
   *
   * @param bytes - the room for all
   */
  settle(bytes: number): void {
    const most = bytes - this.#windowBytes
    while (this.#window.bytes > this.#windowBytes && this.#window.oldest !== this.#window.newest) {
      const node = this.#window.oldest!
      if (this.#main.bytes + node.size > most) return
      this.#window.remove(node)
      node.heat = (node.heat & ~place) | inMain
      this.#main.add(node)
    }
  }

  /** All entries, the one to leave last first. */
  byWorth(): N[] {
    const all: { node: N; count: number }[] = []
    for (const { newest } of [this.#window, this.#main]) {
      for (let node = newest; node !== undefined; node = node.older) all.push({ node, count: this.#countOf(node) })
    }
    return all.sort((a, b) => b.count - a.count).map(({ node }) => node)
  }

  /** The one that was asked for least often, of some on the way of the hand; one that is over at once. */
  #coldest(): N | undefined {
    let found: N | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = Math.min(compared, this.#main.length); i > 0; i--) {
      const node = this.#hand ?? this.#main.oldest!
      this.#hand = node.newer
      const value = this.#isOver(node) ? -1 : this.#valueOf(node)
      if (value < least) {
        found = node
        least = value
      }
      if (value <= 0) break
    }
    return found
  }

  /** The sketch, as large as the entries are many. */
  #remember(): void {
    if (this.#sketch === undefined) this.#sketch = new FrequencySketch(this.length)
    else this.#sketch.growFor(this.length)
  }

  #turn(): void {
    this.#epoch = (this.#epoch + 1) & epochMask
    this.#accesses = 0
    this.#sketch?.halve()
  }

  /**
   * What was asked for once or twice beats only what was asked for less, whatever it is worth: else one client with ever new
   * expensive requests would push out what all others ask for.
   */
  #beats(candidate: N, other: N): boolean {
    const count = this.#countOf(candidate)
    // The sketch may take once for twice.
    if (count <= 2) return count > this.#countOf(other)
    return this.#valueOf(candidate) > this.#valueOf(other)
  }

  #valueOf(node: N): number {
    const count = this.#countOf(node)
    return this.#worth === undefined ? count : count * this.#worth(node)
  }

  #countOf(node: N): number {
    const behind = (this.#epoch - (node.heat >>> epochAt)) & epochMask
    return behind > 3 ? 0 : (node.heat & countBits) >>> behind
  }

  /** The heat of an entry with its count as it is now. */
  #aged(node: N): number {
    return (this.#epoch << epochAt) | (node.heat & place) | this.#countOf(node)
  }
}
