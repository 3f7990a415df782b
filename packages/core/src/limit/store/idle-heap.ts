/** What the heap holds: it keeps both members up to date, and nobody else writes them. */
export interface HeapEntry {
  /** Its place in the heap; below 0 outside of one. */
  index: number
  /** Not idle before then. */
  idleAtMs: number
}

/** A binary heap: whatever may be idle soonest is on top. Adding, moving and removing take O(log n). */
export class IdleHeap<E extends HeapEntry> {
  readonly #entries: E[] = []

  get size(): number {
    return this.#entries.length
  }

  get top(): E | undefined {
    return this.#entries[0]
  }

  /** Any of them: for sampling. */
  at(index: number): E {
    return this.#entries[index]!
  }

  add(entry: E): void {
    entry.index = this.#entries.length
    this.#entries.push(entry)
    this.#up(entry)
  }

  move(entry: E, idleAtMs: number): void {
    const sooner = idleAtMs < entry.idleAtMs
    entry.idleAtMs = idleAtMs
    if (sooner) this.#up(entry)
    else this.#down(entry)
  }

  remove(entry: E): void {
    const last = this.#entries.pop()!
    if (last !== entry) {
      this.#put(last, entry.index)
      this.#up(last)
      this.#down(last)
    }
    entry.index = -1
  }

  clear(): void {
    this.#entries.length = 0
  }

  #put(entry: E, index: number): void {
    this.#entries[index] = entry
    entry.index = index
  }

  #up(entry: E): void {
    let index = entry.index
    while (index > 0) {
      const parent = this.#entries[(index - 1) >> 1]!
      if (parent.idleAtMs <= entry.idleAtMs) break
      const free = parent.index
      this.#put(parent, index)
      index = free
    }
    this.#put(entry, index)
  }

  #down(entry: E): void {
    let index = entry.index
    for (;;) {
      const left = 2 * index + 1
      if (left >= this.#entries.length) break
      const [a, b] = [this.#entries[left]!, this.#entries[left + 1]]
      const child = b && b.idleAtMs < a.idleAtMs ? b : a
      if (child.idleAtMs >= entry.idleAtMs) break
      const free = child.index
      this.#put(child, index)
      index = free
    }
    this.#put(entry, index)
  }
}
