/**
 * Policies of eviction, as their papers have them, for the trial of `eviction.mjs`: told of a request, each answers whether
 * it was a hit, and keeps what it likes within so many units. None of this is what a store runs; `lru` is the library itself.
 */
import { createRequire } from 'node:module'

const { LRUCache } = createRequire(new URL('../../../packages/core/package.json', import.meta.url))('lru-cache')

export function lru(capacity) {
  const cache = new LRUCache({ maxSize: capacity })
  return (key, size = 1) => {
    if (cache.get(key) !== undefined) return true
    cache.set(key, true, { size })
    return false
  }
}

/** Zhang et al., "SIEVE is simpler than LRU", NSDI 2024. */
export function sieve(capacity) {
  const nodes = new Map()
  let held = 0
  let head
  let tail
  let hand
  const evict = () => {
    let node = hand ?? tail
    while (node.visited) {
      node.visited = false
      node = node.newer ?? tail
    }
    hand = node.newer
    if (node.newer) node.newer.older = node.older
    else head = node.older
    if (node.older) node.older.newer = node.newer
    else tail = node.newer
    nodes.delete(node.key)
    held -= node.size
  }
  return (key, size = 1) => {
    const known = nodes.get(key)
    if (known) {
      known.visited = true
      return true
    }
    if (size > capacity) return false
    while (held + size > capacity) evict()
    const node = { key, size, visited: false, older: head, newer: undefined }
    if (head) head.newer = node
    head = node
    tail ??= node
    nodes.set(key, node)
    held += size
    return false
  }
}

/** Count-min of 4 bits, halved after ten accesses a unit (Einziger, Friedman, Manes, "TinyLFU", ACM TOS 2017). */
class Sketch {
  constructor(entries) {
    this.mask = 2 ** Math.ceil(Math.log2(Math.max(16, entries * 4))) - 1
    this.counts = new Uint8Array(this.mask + 1)
    this.sample = entries * 10
    this.seen = 0
  }

  slots(key) {
    let hash = Math.imul(key + 0x9e3779b9, 0x85ebca6b)
    hash ^= hash >>> 13
    const other = Math.imul(hash, 0xc2b2ae35) | 1
    return [0, 1, 2, 3].map((row) => ((hash + row * other) ^ (other >>> 15)) & this.mask)
  }

  add(key) {
    const slots = this.slots(key)
    const least = this.of(key)
    if (least < 15) for (const slot of slots) if (this.counts[slot] === least) this.counts[slot]++
    if (++this.seen >= this.sample) {
      for (let i = 0; i <= this.mask; i++) this.counts[i] >>= 1
      this.seen >>= 1
    }
  }

  of(key) {
    return Math.min(...this.slots(key).map((slot) => this.counts[slot]))
  }
}

/** W-TinyLFU as in the paper: 1 % window in LRU order, the rest segmented LRU, 80 % of it protected. */
export function wTinyLfu(capacity, entries = capacity) {
  const window = new Map()
  const probation = new Map()
  const shielded = new Map()
  const held = new Map([
    [window, 0],
    [probation, 0],
    [shielded, 0],
  ])
  const most = { window: Math.max(1, capacity * 0.01), shielded: capacity * 0.99 * 0.8, main: capacity * 0.99 }
  const sketch = new Sketch(entries)
  const put = (list, key, size) => {
    list.set(key, size)
    held.set(list, held.get(list) + size)
  }
  const take = (list, key) => {
    const size = list.get(key)
    list.delete(key)
    held.set(list, held.get(list) - size)
    return size
  }
  return (key, size = 1) => {
    sketch.add(key)
    if (window.has(key)) {
      put(window, key, take(window, key))
      return true
    }
    if (shielded.has(key)) {
      put(shielded, key, take(shielded, key))
      return true
    }
    if (probation.has(key)) {
      put(shielded, key, take(probation, key))
      while (held.get(shielded) > most.shielded) {
        const oldest = shielded.keys().next().value
        put(probation, oldest, take(shielded, oldest))
      }
      return true
    }
    put(window, key, size)
    while ((held.get(window) > most.window && window.size > 1) || held.get(window) > capacity) {
      const candidate = window.keys().next().value
      put(probation, candidate, take(window, candidate))
      while (held.get(probation) + held.get(shielded) > most.main) {
        const list = probation.size > 1 ? probation : shielded.size > 0 ? shielded : probation
        const victim = list.keys().next().value
        if (victim === candidate || sketch.of(candidate) > sketch.of(victim)) take(list, victim)
        else {
          take(probation, candidate)
          break
        }
      }
    }
    return false
  }
}
