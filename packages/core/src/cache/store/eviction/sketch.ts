/**
 * How often things were asked for lately that are not held any more, within a fixed room: a count-min sketch (Cormode and
 * Muthukrishnan, 2005) whose counts are halved now and then (TinyLFU: Einziger, Friedman and Manes, ACM TOS 2017). It may
 * remember a thing as asked for more often than it was, never as less often since it was last halved.
 *
 * The four counts of a thing lie within 64 bytes, so that asking costs one miss of the processor's caches.
 */
export class FrequencySketch {
  #words: Uint32Array<ArrayBuffer>
  #cells: Uint8Array
  /** How many words are still to be halved, and which is next. */
  #due = 0
  #next = 0

  /** Room for what is remembered beside so many entries. */
  constructor(entries: number) {
    this.#words = new Uint32Array(wordsFor(entries))
    this.#cells = new Uint8Array(this.#words.buffer)
  }

  get bytes(): number {
    return this.#cells.length
  }

  /** What a sketch for so many entries takes. */
  static bytesFor(entries: number): number {
    return wordsFor(entries) * 4
  }

  /** Grows to the room for so many entries, and keeps what it knows. Never shrinks. */
  growFor(entries: number): void {
    while (this.#words.length < wordsFor(entries)) {
      const twice = new Uint32Array(this.#words.length * 2)
      // One more bit of a hash picks the block: whichever half it is, the counts are there.
      twice.set(this.#words)
      twice.set(this.#words, this.#words.length)
      this.#words = twice
      this.#cells = new Uint8Array(twice.buffer)
    }
  }

  /** How often it was asked for, at most {@link most}. */
  count(hash: number): number {
    const cells = this.#cells
    const block = this.#block(hash)
    const spread = spreadOf(hash)
    const a = cells[block | (spread & 15)]!
    const b = cells[block | 16 | ((spread >>> 4) & 15)]!
    const c = cells[block | 32 | ((spread >>> 8) & 15)]!
    const d = cells[block | 48 | ((spread >>> 12) & 15)]!
    return Math.min(a, b, c, d)
  }

  /** It was asked for so often, at the least. */
  raise(hash: number, count: number): void {
    const block = this.#block(hash)
    const spread = spreadOf(hash)
    this.#raiseCell(block | (spread & 15), count)
    this.#raiseCell(block | 16 | ((spread >>> 4) & 15), count)
    this.#raiseCell(block | 32 | ((spread >>> 8) & 15), count)
    this.#raiseCell(block | 48 | ((spread >>> 12) & 15), count)
  }

  /** All counts are to be halved: bit by bit, in {@link work}. */
  halve(): void {
    this.#due += this.#words.length
  }

  /** A bounded part of what is to be done: a few microseconds. */
  work(): void {
    if (this.#due === 0) return
    const words = this.#words
    const many = Math.min(this.#due, wordsAtATime)
    this.#due -= many
    for (let i = 0; i < many; i++) {
      this.#next = (this.#next + 1) & (words.length - 1)
      words[this.#next] = (words[this.#next]! >>> 1) & 0x07070707
    }
  }

  #block(hash: number): number {
    return hash & (this.#cells.length - 1) & ~63
  }

  #raiseCell(cell: number, count: number): void {
    if (this.#cells[cell]! < count) this.#cells[cell] = count
  }
}

/** The highest count. What is asked for more often is not told apart. */
export const most = 15

const bytesPerEntry = 16
const wordsAtATime = 2_048

function wordsFor(entries: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2((entries * bytesPerEntry) / 4)))
}

function spreadOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 12
}

/**
 * A hash of a text, other in each process: who can choose URLs must not be able to choose which of them share a count.
 */
export function hashOf(text: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
