/**
 * What a hit costs in Redis, without sockets of clients: against a plain GET of the same 10 kB by ioredis, from one
 * process with 50 in flight and one at a time; one hot entry and a thousand in turn. Then a hit in the memory tier against
 * the memory backend. Starts a redis-server. Each contestant has its turn in every round; figures are medians of ratios
 * within a round. Every answer is checked to be a hit. `npm run bench -- redis-hit`
 *
 * Goals: a hit in Redis at least 0.8 of GET's throughput, a tiered hit at least 0.9 of memory's.
 */
import { Engine } from '@sluice/node'
import { redis } from '@sluice/redis'
import { answer, requestFor } from './lib/exchange.mjs'
import { race, startRedis } from './lib/redis.mjs'

const server = await startRedis()
const bodyBytes = 10_000
const entries = 1_000
const body = Buffer.alloc(bodyBytes, 'x')
// Long deadlines: on a busy machine, what was not answered in time would count as answered.
const deadlines = { read: '10s', write: '10s', purge: '10s' }

function contestant(backend) {
  const engine = new Engine({ cache: { maxBytes: '1gb' }, ...(backend && { backend }) })
  const pipeline = engine.cache.pipeline({ ttl: '1h' })
  return { engine, open: (path) => pipeline.open(requestFor(path)) }
}

async function filled(backend) {
  const made = contestant(backend)
  // Until the connection is there, nothing is stored.
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (let i = 0; i < entries; i++) await answer(await made.open(`/${i}`), body)
  await new Promise((resolve) => setTimeout(resolve, 300))
  for (let i = 0; i < entries; i++) checked(await made.open(`/${i}`))
  return made
}

function checked(opening) {
  if (opening.kind !== 'reply' || opening.reply.body.byteLength !== bodyBytes) throw new Error('Not a hit')
}

const hit = ({ open }, path) => {
  const opening = open(path)
  return typeof opening.then === 'function' ? opening.then(checked) : checked(opening)
}

const get = await server.client()
for (let i = 0; i < entries; i++) await get.set(`plain:${i}`, body)
const ours = await filled(redis(server.url, { namespace: 'own', tier: false, deadlines }))
const given = await filled(redis(await server.client(), { namespace: 'given', tier: false, deadlines }))
const tiered = await filled(redis(server.url, { namespace: 'tiered', deadlines, tier: { maxTtl: '1h' } }))
const memory = await filled(undefined)

const contestants = (number) => ({
  'GET of ioredis': (i) => get.getBuffer(`plain:${number(i)}`),
  'hit in Redis, own connection': (i) => hit(ours, `/${number(i)}`),
  'hit in Redis, client given': (i) => hit(given, `/${number(i)}`),
})
const hot = () => 0
const inTurn = (i) => i % entries
await race(server, 'One hot entry, 50 in flight', 'GET of ioredis', contestants(hot))
await race(server, '1,000 entries in turn, 50 in flight', 'GET of ioredis', contestants(inTurn))
await race(server, '1,000 entries in turn, one at a time', 'GET of ioredis', contestants(inTurn), {
  inFlight: 1,
  count: 3_000,
})
const inMemory = (number) => ({
  memory: (i) => hit(memory, `/${number(i)}`),
  tier: (i) => hit(tiered, `/${number(i)}`),
})
const once = { inFlight: 1, count: 100_000, rounds: 9 }
await race(server, 'Tier, one hot entry', 'memory', inMemory(hot), once)
await race(
  server,
  'Tier, 500 entries in turn',
  'memory',
  inMemory((i) => i % 500),
  once,
)

for (const { engine } of [ours, given, tiered, memory]) await engine.close()
server.stop()
