/**
 * What a decision about limits in Redis costs, against rate-limit-redis in express-rate-limit, RateLimiterRedis of
 * rate-limiter-flexible, and its Union of three: decisions per second with 50 in flight, from one process, on a
 * redis-server that the benchmark starts. One policy and three, a hundred thousand keys in turn, none of them refused;
 * then what units in advance (`lease: 100`) bring for one hot key, and what a refused key costs. Needs the build. Each
 * contestant has its turn in every round, in an order that changes; figures are ratios within a round.
 * `npm run bench -- redis-limits`
 *
 * The first table is whole middleware: a request goes in, `next` is called. The second is limiters by themselves.
 *
 * Goals: ahead of each with one policy and with three; leased at least 5 × unleased.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createSluice } from '@sluice/express'
import { redis } from '@sluice/redis'
import { rateLimit } from 'express-rate-limit'
import { Redis } from 'ioredis'
import { RedisStore } from 'rate-limit-redis'
import { median } from './lib/compare.mjs'

const { RateLimiterRedis, RateLimiterUnion } = createRequire(
  new URL('../../packages/core/package.json', import.meta.url),
)('rate-limiter-flexible')

const port = 10_000 + Math.floor(Math.random() * 20_000)
const server = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'], { stdio: 'pipe' })
process.once('exit', () => server.kill('SIGKILL'))
for await (const [part] of readings(server.stdout)) if (String(part).includes('Ready to accept')) break
if (spawnSync('taskset', ['-c', '0', 'true']).status === 0) {
  spawnSync('taskset', ['-acp', '0', String(server.pid)])
  spawnSync('taskset', ['-acp', '1', String(process.pid)])
}

async function* readings(stream) {
  for (;;) yield await once(stream, 'data')
}

const quota = 1_000_000
const windows = { one: 60, two: 3_600, three: 86_400 }
const inFlight = 50
const keys = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
const clients = []

async function client() {
  const made = new Redis({ port, host: '127.0.0.1' })
  clients.push(made)
  await made.ping()
  return made
}

async function sluice(options = {}) {
  // A long deadline: on a busy machine decisions made without Redis would be counted.
  const policies = Object.entries(windows).map(([name, s]) => [name, { rate: `${quota}/${s}s`, ...options }])
  const limits = {
    ...Object.fromEntries(policies),
    all: {
      rate: Object.values(windows)
        .map((s) => `${quota}/${s}s`)
        .join('; '),
      ...options,
    },
    refused: { rate: '1/366 d' },
  }
  return createSluice({
    backend: redis(await client(), { namespace: `n${clients.length}`, deadlines: { limit: '10s' } }),
    limits,
  })
}

/** A request as a middleware of Express sees it. */
function exchange(ip) {
  const socket = { remoteAddress: ip, on() {}, once() {} }
  const app = { enabled: () => false, get: () => undefined, settings: {} }
  const headers = { host: 'example.org' }
  const req = {
    method: 'GET',
    url: '/',
    originalUrl: '/',
    path: '/',
    ip,
    headers,
    rawHeaders: [],
    socket,
    app,
    query: {},
  }
  req.connection = socket
  req.get = (name) => headers[name]
  const fields = new Map()
  const res = {
    req,
    socket,
    headersSent: false,
    statusCode: 200,
    locals: {},
    setHeader: (name, value) => void fields.set(name.toLowerCase(), value),
    getHeader: (name) => fields.get(name.toLowerCase()),
    hasHeader: (name) => fields.has(name.toLowerCase()),
    getHeaderNames: () => [...fields.keys()],
    removeHeader: (name) => void fields.delete(name.toLowerCase()),
    writeHead() {},
    write() {},
    end() {},
    on() {},
    once() {},
    emit() {},
    removeListener() {},
  }
  req.res = res
  return [req, res]
}

const through = (middleware) => (i) =>
  new Promise((resolve, reject) => {
    const [req, res] = exchange(keys[i % keys.length])
    middleware(req, res, (error) => (error ? reject(error) : resolve()))
  })

/** Several middleware of one policy each, as express-rate-limit has to be mounted. */
const inTurn = (list) => async (i) => {
  const [req, res] = exchange(keys[i % keys.length])
  for (const middleware of list) await middleware(req, res, () => {})
}

async function expressRateLimit(names) {
  const redisClient = await client()
  return names.map((name) =>
    rateLimit({
      windowMs: windows[name] * 1_000,
      limit: quota,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      validate: false,
      identifier: name,
      store: new RedisStore({
        prefix: `erl:${name}:`,
        sendCommand: (command, ...args) => redisClient.call(command, ...args),
      }),
    }),
  )
}

async function flexible(names) {
  const storeClient = await client()
  return names.map(
    (name) => new RateLimiterRedis({ storeClient, points: quota, duration: windows[name], keyPrefix: `rlf:${name}` }),
  )
}

let turn = 0

async function rate(run, count) {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const redisCpu = await cpuOfRedis()
  let left = count
  const lane = async () => {
    while (left-- > 0) await run(turn++)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const perSecond = (count / (performance.now() - start)) * 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond, cpu: (user + system) / count, redisCpu: ((await cpuOfRedis()) - redisCpu) / count }
}

/** Microseconds. */
async function cpuOfRedis() {
  const info = await control.info('cpu')
  const read = (name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)[1]) * 1e6
  return read('used_cpu_sys') + read('used_cpu_user')
}

async function compare(title, base, contestants, count = 10_000, rounds = 5) {
  const names = Object.keys(contestants)
  const figures = new Map(names.map((name) => [name, []]))
  for (const name of names) await rate(contestants[name], count)
  for (let round = 0; round < rounds; round++) {
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      figures.get(name).push(await rate(contestants[name], count))
    }
  }
  console.log(`\n${title}`)
  const titles = ['decisions/s', '× base', 'µs CPU here', '× base', 'in Redis', '× base']
  console.log(''.padEnd(38) + titles.map((each) => each.padStart(12)).join(''))
  for (const [name, list] of figures) {
    const cells = ['perSecond', 'cpu', 'redisCpu'].flatMap((what) => [
      median(list.map((figure) => figure[what])),
      median(list.map((figure, i) => figure[what] / figures.get(base)[i][what])).toFixed(2),
    ])
    const text = cells.map((cell, i) =>
      i === 0 ? Math.round(cell).toLocaleString('en') : i % 2 ? cell : cell.toFixed(1),
    )
    console.log(name.padEnd(38) + text.map((cell) => cell.padStart(12)).join(''))
  }
}

const control = await client()
const all = Object.keys(windows)
const ours = await sluice()
const bucket = await sluice({ algorithm: 'token-bucket' })
const leased = await sluice({ lease: 100 })
const [single] = await flexible(['one'])
const union = new RateLimiterUnion(...(await flexible(all)))
const tight = new RateLimiterRedis({ storeClient: await client(), points: 1, duration: 86_400, keyPrefix: 'tight' })
const key = (i) => keys[i % keys.length]

await compare('Middleware, one policy', 'express-rate-limit, rate-limit-redis', {
  'express-rate-limit, rate-limit-redis': inTurn(await expressRateLimit(['one'])),
  'sluice sliding-window': through(ours.limit('one')),
  'sluice token-bucket': through(bucket.limit('one')),
})
await compare('Middleware, three policies', 'express-rate-limit × 3', {
  'express-rate-limit × 3': inTurn(await expressRateLimit(all)),
  'sluice sliding-window': through(ours.limit(...all)),
  'sluice token-bucket': through(bucket.limit(...all)),
})
await compare('Limiters by themselves', 'RateLimiterRedis', {
  RateLimiterRedis: (i) => single.consume(key(i)),
  'sluice sliding-window': (i) => ours.check('one', { key: key(i) }),
  'sluice token-bucket': (i) => bucket.check('one', { key: key(i) }),
})
await compare('Three limits at once', 'RateLimiterUnion', {
  RateLimiterUnion: (i) => union.consume(key(i)),
  'sluice sliding-window, three rates': (i) => ours.check('all', { key: key(i) }),
  'sluice token-bucket, three rates': (i) => bucket.check('all', { key: key(i) }),
})
await compare('One hot key', 'sluice', {
  RateLimiterRedis: () => single.consume('hot'),
  sluice: () => ours.check('one', { key: 'hot' }),
  'sluice, lease: 100': () => leased.check('one', { key: 'hot' }),
})
await compare('One key that is refused', 'RateLimiterRedis', {
  RateLimiterRedis: () => tight.consume('hot').catch(() => {}),
  sluice: () => ours.check('refused', { key: 'hot' }),
})

for (const each of [ours, bucket, leased]) await each.close()
for (const each of clients) each.disconnect()
server.kill('SIGKILL')
