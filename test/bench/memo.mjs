/**
 * What a hit of a memo costs, against p-memoize and a plain wrapper around lru-cache. These two hand the same object to
 * everybody and know no tags; `clone: false` is what compares with them, and the others show what a copy for each caller
 * costs. Needs the build. Nanoseconds a call, calls awaited one after the other; ratios within a round.
 *
 *     npm run bench -- memo
 */
import { createRequire } from 'node:module'
import pMemoize from 'p-memoize'
import { createSluice } from '../../packages/node/dist/esm/index.js'
import { median } from './lib/rounds.mjs'

const { LRUCache } = createRequire(new URL('../../packages/core/package.json', import.meta.url))('lru-cache')

const city = { id: 7, name: 'Oslo', country: 'NO', population: 709_037, tags: ['capital', 'harbour'] }
const page = Array.from({ length: 100 }, (_, id) => ({ ...city, id }))
const sluice = createSluice()
const load = async () => city
const ttl = '1h'

/** What people write by hand. */
function wrapped(fn) {
  const cache = new LRUCache({ max: 10_000, ttl: 3_600_000 })
  return async (id) => {
    const known = cache.get(id)
    if (known !== undefined) return known
    const value = await fn(id)
    cache.set(id, value)
    return value
  }
}

const contestants = {
  'lru-cache, by hand': wrapped(load),
  'p-memoize, LRU, first argument': pMemoize(load, { cache: new LRUCache({ max: 10_000, ttl: 3_600_000 }) }),
  'p-memoize, LRU, all arguments': pMemoize(load, {
    cache: new LRUCache({ max: 10_000, ttl: 3_600_000 }),
    cacheKey: JSON.stringify,
  }),
  'sluice.memo, clone: false': sluice.memo(load, { ttl, clone: false, tags: (c) => [`city:${c.id}`] }),
  'sluice.memo, a number': sluice.memo(async () => 42, { ttl }),
  'sluice.memo, a copy of an object': sluice.memo(load, { ttl, tags: (c) => [`city:${c.id}`] }),
  'p-memoize + structuredClone': (() => {
    const get = pMemoize(load, { cache: new LRUCache({ max: 10_000, ttl: 3_600_000 }) })
    return async (id) => structuredClone(await get(id))
  })(),
}
const large = {
  'sluice.memo, a copy of 100 objects': sluice.memo(async () => page, { ttl }),
  'p-memoize + structuredClone': (() => {
    const get = pMemoize(async () => page, { cache: new LRUCache({ max: 10_000, ttl: 3_600_000 }) })
    return async (id) => structuredClone(await get(id))
  })(),
}
const objectKeys = {
  'p-memoize, JSON.stringify of { … }': [contestants['p-memoize, LRU, all arguments'], { country: 'NO', page: 2 }],
  'sluice.memo, clone: false, of { … }': [contestants['sluice.memo, clone: false'], { country: 'NO', page: 2 }],
}

await measure('One number as the argument', contestants, 300_000)
await measure('An object as the argument', objectKeys, 100_000)
await measure('A large value', large, 4_000)
await sluice.close()

async function measure(title, named, count, rounds = 9) {
  const all = Object.entries(named).map(([name, given]) => {
    const [fn, argument = 7] = Array.isArray(given) ? given : [given]
    return { name, fn, argument, ns: [] }
  })
  for (const one of all) await run(one, count)
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < all.length; i++) {
      const one = all[(i + round) % all.length]
      const started = process.hrtime.bigint()
      await run(one, count)
      one.ns.push(Number(process.hrtime.bigint() - started) / count)
    }
  }
  console.log(`\n${title}\n${'memo'.padEnd(38)} ${'ns/hit'.padStart(8)} ${'× first'.padStart(8)}`)
  for (const { name, ns } of all) {
    const ratio = median(ns.map((value, i) => value / all[0].ns[i]))
    console.log(`${name.padEnd(38)} ${median(ns).toFixed(0).padStart(8)} ${ratio.toFixed(2).padStart(8)}`)
  }
}

async function run({ fn, argument }, count) {
  for (let i = 0; i < count; i++) await fn(argument)
}
