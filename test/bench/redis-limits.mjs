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
import { createRequire } from 'node:module'
import { createSluice } from '@sluice/express'
import { redis } from '@sluice/redis'
import { rateLimit } from 'express-rate-limit'
import { RedisStore } from 'rate-limit-redis'
import { race, startRedis } from './lib/redis.mjs'

const { RateLimiterRedis, RateLimiterUnion } = createRequire(
  new URL('../../packages/core/package.json', import.meta.url),
)('rate-limiter-flexible')

const server = await startRedis()
const quota = 1_000_000
const windows = { one: 60, two: 3_600, three: 86_400 }
const keys = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
let namespaces = 0

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
    backend: redis(await server.client(), { namespace: `n${namespaces++}`, deadlines: { limit: '10s' } }),
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
  const redisClient = await server.client()
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
  const storeClient = await server.client()
  return names.map(
    (name) => new RateLimiterRedis({ storeClient, points: quota, duration: windows[name], keyPrefix: `rlf:${name}` }),
  )
}

const compare = (title, base, contestants) => race(server, title, base, contestants, { rounds: 5 })
const all = Object.keys(windows)
const ours = await sluice()
const bucket = await sluice({ algorithm: 'token-bucket' })
const leased = await sluice({ lease: 100 })
const leasedMore = await sluice({ lease: 1_000 })
const [single] = await flexible(['one'])
const union = new RateLimiterUnion(...(await flexible(all)))
const tight = new RateLimiterRedis({
  storeClient: await server.client(),
  points: 1,
  duration: 86_400,
  keyPrefix: 'tight',
})
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
  'sluice, lease: 1000': () => leasedMore.check('one', { key: 'hot' }),
})
await compare('One key that is refused', 'RateLimiterRedis', {
  RateLimiterRedis: () => tight.consume('hot').catch(() => {}),
  sluice: () => ours.check('refused', { key: 'hot' }),
})

for (const each of [ours, bucket, leased, leasedMore]) await each.close()
server.stop()
