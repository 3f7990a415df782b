/**
 * Requests as caches see them, made from a seed: the same seed gives the same trace anywhere. A trace is a list of numbers
 * of objects; what it is shaped like is written at each. `objects` is the set that the sizes of caches are a share of.
 */

/** Mulberry32: small, seeded, and good enough to shape a trace. */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Draws ranks 0 … n − 1 with the odds of 1 / (rank + 1)^skew. */
export function zipf(n, skew, draw) {
  const sums = new Float64Array(n)
  let sum = 0
  for (let rank = 0; rank < n; rank++) sums[rank] = sum += (rank + 1) ** -skew
  return () => {
    const at = draw() * sum
    let low = 0
    let high = n - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The numbers 0 … n − 1 in some order, so that neighbours in rank are not neighbours in anything else. */
function shuffled(n, draw) {
  const list = Uint32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
  return list
}

const trace = (length, next) => Uint32Array.from({ length }, (_, i) => next(i))

function popular(n, length, skew, seed) {
  const draw = random(seed)
  const names = shuffled(n, draw)
  const rank = zipf(n, skew, draw)
  return trace(length, () => names[rank()])
}

/** @returns {Record<string, { objects: number, requests: Uint32Array, counted?: (object: number) => boolean }>} */
export function makeTraces({ objects: n, length, seed }) {
  return {
    'Zipf 0.8': { objects: n, requests: popular(n, length, 0.8, seed) },
    'Zipf 1.0': { objects: n, requests: popular(n, length, 1, seed + 1) },
    // Popular objects, and four times a robot that asks for each of as many others as there are, once.
    scan: { objects: n, requests: scans(n, length, seed + 2) },
    // All of the set, one behind the other, again and again.
    loop: { objects: n, requests: trace(length, (i) => i % n) },
    // Popular objects, and which of them are popular changes ten times, by a third each.
    shift: { objects: n, requests: shifts(n, length, seed + 3) },
    // Popular objects, and for half of the time one client beside them, three times as fast as all others, who never asks
    // for the same twice. Only the others' requests count.
    flood: { objects: n, requests: floods(n, length, seed + 4), counted: (object) => object < n },
  }
}

function scans(n, length, seed) {
  const draw = random(seed)
  const rank = zipf(n, 0.9, draw)
  const every = Math.floor(length / 4)
  const requests = new Uint32Array(length)
  let robot = n
  for (let i = 0; i < length; i++) requests[i] = i % every < n && i % 2 ? robot++ : rank()
  return requests
}

function shifts(n, length, seed) {
  const draw = random(seed)
  const rank = zipf(n, 0.9, draw)
  const names = shuffled(n, draw)
  const every = Math.floor(length / 10)
  return trace(length, (i) => {
    if (i > 0 && i % every === 0) {
      for (let j = 0; j < n / 6; j++) {
        const a = Math.floor(draw() * n)
        const b = Math.floor(draw() * n)
        ;[names[a], names[b]] = [names[b], names[a]]
      }
      // The most popular among them, for the rest hardly shows.
      for (let j = 0; j < n / 100; j += 3) {
        const b = Math.floor(draw() * n)
        ;[names[j], names[b]] = [names[b], names[j]]
      }
    }
    return names[rank()]
  })
}

function floods(n, length, seed) {
  const draw = random(seed)
  const rank = zipf(n, 0.9, draw)
  const every = Math.floor(length / 10)
  let junk = n
  return trace(length, (i) => (Math.floor(i / every) % 2 && i % 4 ? junk++ : rank()))
}
