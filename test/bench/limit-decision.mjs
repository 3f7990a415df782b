/**
 * What a decision of the limiter costs in memory, against rate-limiter-flexible's and the stores of others: decisions per second and bytes of
 * garbage, for one key that is asked again and again and for a hundred thousand keys in turn; and what three policies
 * cost against one. The store alone does what rate-limiter-flexible does; `check` also looks the policy up, turns whatever
 * it is given into an address and a keyed hash, and counts for `stats()`. Needs the build. Each contestant has its turn in every round, in an order that changes, in a process
 * that runs nothing else; figures are ratios within a round. `npm run bench -- limit-decision`
 *
 * Goals: at least 3 × rate-limiter-flexible's decisions, at most a third of its garbage, three policies at most 2 × one.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../packages/core/dist/esm/base/clock.js'
import { algorithmFor } from '../../packages/core/dist/esm/limit/algorithms/algorithm-for.js'
import { createLimiter } from '../../packages/core/dist/esm/limit/limiter.js'
import { MemoryLimitStore } from '../../packages/core/dist/esm/limit/store/memory-limit-store.js'
import { median } from './lib/rounds.mjs'

// A young generation so large that nothing is collected while it is measured: what was allocated is then what has grown.
const flags = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']
if (!globalThis.gc) {
  const { status } = spawnSync(process.execPath, [...flags, fileURLToPath(import.meta.url)], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

const require = createRequire(import.meta.url)
const { RateLimiterMemory } = createRequire(new URL('../../packages/core/package.json', import.meta.url))(
  'rate-limiter-flexible',
)
const { MemoryStore } = require('express-rate-limit')
const LocalStore = require('@fastify/rate-limit/store/LocalStore.js')
const quota = 1_000_000_000
const keys = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
const hot = () => keys[0]
const many = (i) => keys[i % keys.length]

const view = (ip) => ({
  method: 'GET',
  scheme: 'http',
  authority: 'example.org',
  path: '/',
  query: '',
  clientIp: ip,
  route: '/',
  header: () => undefined,
  property: () => undefined,
  keyedFields: [],
  native: {},
  ticket: undefined,
})

function limiter(algorithm = 'sliding-window') {
  const policy = (windows) => ({ rate: `${quota}/${windows}`, algorithm })
  return createLimiter({ limits: { one: policy('min'), two: policy('h'), three: policy('d') } })
}

function check(keyOf, algorithm) {
  const ours = limiter(algorithm)
  return (count) => {
    for (let i = 0; i < count; i++) ours.check('one', { key: keyOf(i) })
  }
}

/** The store by itself, as rate-limiter-flexible is: a key goes in, a verdict comes out. */
function store(keyOf) {
  const ours = new MemoryLimitStore(systemClock())
  const algorithm = algorithmFor('p', { quota, windowMs: 60_000 }, undefined, 30_000)
  const counted = { policy: 'p', name: 'p', id: ':p', algorithm, shadow: false, onOutage: 'local', share: 1, lease: 0 }
  return (count) => {
    for (let i = 0; i < count; i++) ours.consumeOne({ quota: counted, key: keyOf(i), cost: 1, permit: '' })
  }
}

function requests(keyOf, ...policies) {
  const pipeline = limiter().pipeline(...policies)
  return (count) => {
    for (let i = 0; i < count; i++) pipeline.open(view(keyOf(i)))
  }
}

function flexible(keyOf) {
  const theirs = new RateLimiterMemory({ points: quota, duration: 60 })
  return async (count) => {
    for (let i = 0; i < count; i++) await theirs.consume(keyOf(i))
  }
}

function expressRateLimit(keyOf) {
  const theirs = new MemoryStore()
  theirs.init({ windowMs: 60_000 })
  return async (count) => {
    for (let i = 0; i < count; i++) await theirs.increment(keyOf(i))
  }
}

/** It holds 5,000 keys unless told otherwise, and forgets blocked ones like any other: room for all of them here. */
function fastifyRateLimit(keyOf) {
  const theirs = new LocalStore(false, false, 100_000)
  const done = () => {}
  return (count) => {
    for (let i = 0; i < count; i++) theirs.incr(keyOf(i), done, 60_000, quota)
  }
}

async function compare(title, base, contestants, count, rounds = 9) {
  const names = Object.keys(contestants)
  const figures = new Map(names.map((name) => [name, { perSecond: [], bytes: [] }]))
  for (const name of names) for (let i = 0; i < 3; i++) await contestants[name](count)
  for (let round = 0; round < rounds; round++) {
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      const start = process.hrtime.bigint()
      await contestants[name](count)
      const seconds = Number(process.hrtime.bigint() - start) / 1e9
      figures.get(name).perSecond.push(count / seconds)
      // Fewer, so that all of it fits into the young generation.
      gc()
      const before = process.memoryUsage().heapUsed
      await contestants[name](count / 4)
      figures.get(name).bytes.push((process.memoryUsage().heapUsed - before) / (count / 4))
    }
  }
  console.log(`\n${title}`)
  console.log(
    `${''.padEnd(34)}${'decisions/s'.padStart(12)}${'× base'.padStart(8)}${'bytes'.padStart(8)}${'× base'.padStart(8)}`,
  )
  const of = figures.get(base)
  for (const [name, { perSecond, bytes }] of figures) {
    const ratio = (list, against) => median(list.map((value, i) => value / against[i])).toFixed(2)
    console.log(
      name.padEnd(34) +
        Math.round(median(perSecond)).toLocaleString('en').padStart(12) +
        ratio(perSecond, of.perSecond).padStart(8) +
        median(bytes).toFixed(0).padStart(8) +
        ratio(bytes, of.bytes).padStart(8),
    )
  }
}

const count = 200_000
for (const [what, keyOf] of [
  ['One key', hot],
  ['A hundred thousand keys', many],
]) {
  await compare(
    `${what}: decisions by key`,
    'rate-limiter-flexible',
    {
      'rate-limiter-flexible': flexible(keyOf),
      'express-rate-limit, its store': expressRateLimit(keyOf),
      '@fastify/rate-limit, its store': fastifyRateLimit(keyOf),
      'sluice, the store alone': store(keyOf),
      'sluice sliding-window': check(keyOf),
      'sluice token-bucket': check(keyOf, 'token-bucket'),
      'sluice fixed-window': check(keyOf, 'fixed-window'),
    },
    count,
  )
}
await compare(
  'Requests, fields of the answer included',
  'one policy',
  { 'one policy': requests(hot, 'one'), 'three policies': requests(hot, 'one', 'two', 'three') },
  count,
)
