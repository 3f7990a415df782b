/**
 * What the cache costs in Redis, without sockets of clients: a hit against a plain GET of ioredis of the same bytes with
 * 50 in flight, a hit in the memory tier against the memory backend, and a purge by the number of entries under the tag.
 * Starts a redis-server. Each contestant has its turn in every round; figures are ratios within a round.
 * `npm run bench -- redis-cache [ENTRIES …]`; the numbers of entries are 1, 1000 and 100000 unless given.
 *
 * Goals: a hit in Redis at least 0.8 of GET's throughput, a tiered hit at least 0.9 of memory's, purges flat.
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { Engine, Fields, NodeRequestView } from '@sluice/node'
import { redis } from '@sluice/redis'
import { Redis } from 'ioredis'
import { median } from './lib/compare.mjs'

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})
const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
const server = spawn('redis-server', args, { stdio: 'ignore' })
process.once('exit', () => server.kill('SIGKILL'))
const plain = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: null, retryStrategy: () => 20 })
plain.on('error', () => {})
await plain.ping()

const url = `redis://127.0.0.1:${port}`
// Long deadlines: on a busy machine, what was not answered in time would count as answered.
const deadlines = { read: '10s', write: '10s', purge: '10s' }
const bodyBytes = 10_000
const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
const view = (path) => new NodeRequestView({ method: 'GET', url: path, headers: { host: 'localhost:3000' }, socket })

function contestant(backend, tags) {
  const engine = new Engine({ cache: { maxBytes: '1gb' }, ...(backend && { backend }) })
  const pipeline = engine.cache.pipeline({ ttl: '1h', ...(tags && { tags }) })
  return { engine, open: (path) => pipeline.open(view(path)) }
}

/** Stores one response, as a host does. */
async function fill({ open }, path, bytes) {
  const { exchange } = await open(path)
  if (!exchange) throw new Error(`${path} is stored already, or not to be stored`)
  const fields = Fields.from({ 'content-type': 'application/json; charset=utf-8' })
  const head = { status: 200, fields, before: Fields.from(), body: 'whole', length: bytes }
  await exchange.onHead(head)
  await exchange.onBody(head, Buffer.alloc(bytes, 'x'))
  await exchange.onClose('sent')
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function filled(backend) {
  const made = contestant(backend)
  // Until the connection is there, nothing is stored.
  await sleep(500)
  await fill(made, '/hot', bodyBytes)
  await sleep(300)
  const again = await made.open('/hot')
  if (again.kind !== 'reply') throw new Error(`Not a hit, but ${again.kind}`)
  return made
}

async function perSecond(count, inFlight, work) {
  let left = count
  const started = performance.now()
  const client = async () => {
    while (left-- > 0) {
      const result = work()
      if (typeof result?.then === 'function') await result
    }
  }
  await Promise.all(Array.from({ length: inFlight }, client))
  return (1_000 * count) / (performance.now() - started)
}

async function duel(title, goal, count, inFlight, [base, baseWork], [ours, ourWork]) {
  const figures = [[], []]
  for (let round = 0; round < 9; round++) {
    const order = round % 2 ? [0, 1] : [1, 0]
    for (const i of order) {
      const rate = await perSecond(count, inFlight, [baseWork, ourWork][i])
      if (round > 1) figures[i].push(rate)
    }
  }
  const ratio = median(figures[1].map((rate, i) => rate / figures[0][i]))
  console.log(`${title}: ${ours} ${median(figures[1]).toFixed(0)}/s, ${base} ${median(figures[0]).toFixed(0)}/s`)
  console.log(`  × ${ratio.toFixed(2)} (goal: at least ${goal})`)
}

const inRedis = await filled(redis(url, { namespace: 'untiered', tier: false, deadlines }))
const tiered = await filled(redis(url, { namespace: 'tiered', deadlines, tier: { maxTtl: '1h' } }))
const memory = await filled(undefined)
await plain.set('plain', Buffer.alloc(bodyBytes, 'x'))

await duel(
  '10 kB hit in Redis, 50 in flight',
  0.8,
  10_000,
  50,
  ['GET', () => plain.getBuffer('plain')],
  ['Sluice', () => inRedis.open('/hot')],
)
await duel(
  '10 kB hit in the memory tier',
  0.9,
  100_000,
  1,
  ['memory', () => memory.open('/hot')],
  ['tiered', () => tiered.open('/hot')],
)

console.log('\nPurge of one tag, by entries under it (median of 50; only the first finds the entries current)')
const sizes = process.argv.slice(2).map(Number)
for (const size of sizes.length > 0 ? sizes : [1, 1_000, 100_000]) {
  const made = contestant(redis(url, { namespace: `purge-${size}`, tier: false, deadlines }), () => ['all'])
  await sleep(500)
  let next = 0
  const filler = async () => {
    while (next < size) await fill(made, `/${next++}`, 10)
  }
  await Promise.all(Array.from({ length: 50 }, filler))
  await sleep(300)
  const times = []
  for (let i = 0; i < 50; i++) {
    const started = performance.now()
    await made.engine.cache.invalidate({ tags: ['all'] }, 'purge')
    times.push(performance.now() - started)
  }
  console.log(
    `${String(size).padStart(9)} entries: first ${times[0].toFixed(2)} ms, median ${median(times).toFixed(2)} ms`,
  )
  await made.engine.close()
}
for (const { engine } of [inRedis, tiered, memory]) await engine.close()
plain.disconnect()
server.kill()
