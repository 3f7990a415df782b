/**
 * How long a purge takes in Redis, by the number of entries under its tag: 1, 1,000 and 1,000,000 unless others are given.
 * Before each purge all of them are stored anew; how many keys there are is asked of Redis, and entries picked at random
 * must be hits before it and none after it. Starts a redis-server; a million entries take about 1 GB there and a minute or
 * two for each round. `npm run bench -- redis-purge [ENTRIES …]`
 *
 * Goal: flat.
 */
import { Engine } from '@sluice/node'
import { redis } from '@sluice/redis'
import { answer, requestFor } from './lib/exchange.mjs'
import { startRedis } from './lib/redis.mjs'
import { median } from './lib/rounds.mjs'

const server = await startRedis()
const deadlines = { read: '10s', write: '10s', purge: '60s' }
const body = Buffer.from('{"ok":true}')

async function measure(size, lanes, rounds) {
  await server.control.flushall()
  const backend = redis(await server.client(), { namespace: `n${size}`, tier: false, lanes, deadlines })
  const engine = new Engine({ cache: {}, backend })
  const pipeline = engine.cache.pipeline({ ttl: '6h', tags: () => ['all'] })
  const times = []
  for (let round = 0; round < rounds; round++) {
    let next = 0
    const filler = async () => {
      while (next < size) await answer(await pipeline.open(requestFor(`/${next++}`)), body)
    }
    await Promise.all(Array.from({ length: 64 }, filler))
    // A store is not waited for by the response that caused it.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const keys = await server.control.dbsize()
    if (keys < 2 * size) throw new Error(`Only ${keys} keys for ${size} entries`)
    const probes = Array.from({ length: 20 }, () => `/${Math.floor(Math.random() * size)}`)
    const hits = async () => {
      const found = await Promise.all(probes.map((path) => pipeline.open(requestFor(path))))
      return found.filter(({ kind }) => kind === 'reply').length
    }
    if ((await hits()) !== probes.length) throw new Error('An entry is not in the cache')
    const started = performance.now()
    await engine.cache.invalidate({ tags: ['all'] }, 'purge')
    times.push(performance.now() - started)
    const after = await Promise.all([...new Set(probes)].map((path) => pipeline.open(requestFor(path))))
    if (after.some(({ kind }) => kind === 'reply')) throw new Error('An entry was served after its purge')
    for (const { exchange } of after) exchange.onClose('aborted')
  }
  const worst = Math.max(...times)
  console.log(
    `${String(size).padStart(9)} entries, lanes: ${String(lanes).padStart(2)}, purges: ${String(rounds).padStart(3)}; ` +
      `median ${median(times).toFixed(2)} ms, slowest ${worst.toFixed(2)} ms`,
  )
  await engine.close()
}

const sizes = process.argv.slice(2).map(Number)
for (const lanes of [1, 16]) {
  for (const size of sizes.length > 0 ? sizes : [1, 1_000, 1_000_000]) {
    await measure(size, lanes, size > 10_000 ? 3 : 50)
  }
}
server.stop()
