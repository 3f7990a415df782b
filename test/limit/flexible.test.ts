import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyOptions } from '../../packages/core/src/limit/policy/options.ts'
import { type FlexibleLimiter, flexible } from '../../packages/core/src/limit/store/flexible.ts'
import { takeCities } from '../examples/support/stored-cities.ts'
import { bodyOf, exchangeOf, fieldsOf, head, request, Sink, statusOf } from './helpers.ts'

const core = createRequire(new URL('../../packages/core/package.json', import.meta.url))
const { RateLimiterMemory, RateLimiterPostgres, RateLimiterUnion } = core('rate-limiter-flexible')

type Options = { points: number; duration: number; keyPrefix?: string } & Record<string, unknown>
let serial = 0

function limited(limiter: FlexibleLimiter, extra: Partial<PolicyOptions> = {}) {
  const sink = new Sink()
  // A deadline no database on a busy machine misses: these tests are not about that.
  const limiterOf = createLimiter({
    events: sink,
    deadlineMs: 20_000,
    limits: { login: { store: flexible(limiter), ...extra } },
  })
  const pipeline = limiterOf.pipeline('login')
  return { limiter: limiterOf, sink, pipeline, open: (ip = '192.0.2.1') => pipeline.open(request({ ip })) }
}

/** Counts what is asked of a limiter. */
function watched(inner: FlexibleLimiter) {
  const calls: string[] = []
  const watch =
    <A extends unknown[], R>(name: string, fn: (...args: A) => R) =>
    (...args: A): R => {
      calls.push(name)
      return fn.apply(inner, args)
    }
  const limiter: FlexibleLimiter = {
    points: inner.points,
    duration: inner.duration,
    consume: watch('consume', inner.consume),
    get: watch('get', inner.get),
    reward: watch('reward', inner.reward),
    delete: watch('delete', inner.delete),
  }
  return { limiter, calls }
}

/** PostgreSQL in this process. */
let directory: string
let database: {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; affectedRows?: number }>
  close(): Promise<void>
}

beforeAll(async () => {
  const example = createRequire(new URL('../../examples/cities-api/package.json', import.meta.url))
  const { PGlite } = example('@electric-sql/pglite')
  directory = await mkdtemp(join(tmpdir(), 'sluice-flexible-'))
  await takeCities(directory)
  database = await PGlite.create(join(directory, 'cities-api-pglite'))
}, 60_000)
afterAll(async () => {
  await database?.close()
  await rm(directory, { recursive: true, force: true })
})

const postgres = async (options: Options): Promise<FlexibleLimiter> => {
  const storeClient = {
    async query({ text, values }: { text: string; values?: unknown[] }) {
      const { rows, affectedRows } = await database.query(text, values)
      return { rows, rowCount: rows.length || affectedRows || 0 }
    },
  }
  return new Promise((resolve, reject) => {
    const limiter = new RateLimiterPostgres(
      { ...options, storeClient, storeType: 'client', tableName: `limits${serial++}` },
      (error?: Error) => (error ? reject(error) : resolve(limiter)),
    )
  })
}

describe.each([
  ['RateLimiterMemory', async (options: Options): Promise<FlexibleLimiter> => new RateLimiterMemory(options)],
  ['RateLimiterPostgres', postgres],
])('%s as a fixed-window store', (_, make) => {
  test('admits the points and refuses the rest, with the standard answer', async () => {
    const { open, limiter } = limited(await make({ points: 3, duration: 60 }))
    const openings = []
    for (let i = 0; i < 5; i++) openings.push(await open())
    expect(openings.map(statusOf)).toEqual([200, 200, 200, 429, 429])
    expect(fieldsOf(openings[0]!).get('ratelimit-policy')).toBe('"login";q=3;w=60')
    expect(fieldsOf(openings[0]!).get('ratelimit')).toMatch(/^"login";r=2;t=60$/)
    const seconds = Number(fieldsOf(openings[3]!).get('retry-after'))
    expect(seconds).toBeGreaterThanOrEqual(55)
    expect(seconds).toBeLessThanOrEqual(60)
    expect(bodyOf(openings[3]!)['violated-policies']).toEqual(['login'])
    expect(statusOf(await open('192.0.2.2'))).toBe(200)
    await limiter.close()
  })

  test('while a key is used up nothing is asked', async () => {
    const { limiter, calls } = watched(await make({ points: 1, duration: 60 }))
    const { open } = limited(limiter)
    for (let i = 0; i < 10; i++) await open()
    expect(calls).toEqual(['consume', 'consume'])
  })

  test('a cost that does not fit charges nothing; above the points it is permanent', async () => {
    const { limiter, calls } = watched(await make({ points: 5, duration: 60 }))
    const one = limited(limiter).limiter
    expect(await one.check('login', { key: 'a', cost: 3 })).toMatchObject({ allowed: true, remaining: 2 })
    expect(await one.check('login', { key: 'a', cost: 3 })).toMatchObject({ allowed: false, remaining: 2 })
    expect(await one.check('login', { key: 'a', cost: 6 })).toMatchObject({ allowed: false, permanent: true })
    expect(await one.check('login', { key: 'a', cost: 2 })).toMatchObject({ allowed: true, remaining: 0 })
    expect(await one.check('login', { key: 'a', cost: 0 })).toMatchObject({ allowed: true, remaining: 0 })
    expect(calls.filter((call) => call === 'consume')).toHaveLength(2)
  })

  test('peek, refund and reset', async () => {
    const { limiter } = limited(await make({ points: 3, duration: 60 }))
    expect(await limiter.peek('login', { key: 'a' })).toMatchObject({ allowed: true, remaining: 3 })
    await limiter.refund('login', { key: 'a', cost: 5 })
    await limiter.check('login', { key: 'a', cost: 3 })
    expect(await limiter.check('login', { key: 'a' })).toMatchObject({ allowed: false })
    await limiter.refund('login', { key: 'a', cost: 2 })
    expect(await limiter.check('login', { key: 'a' })).toMatchObject({ allowed: true })
    // Never more than was taken.
    await limiter.refund('login', { key: 'a', cost: 99 })
    expect(await limiter.peek('login', { key: 'a' })).toMatchObject({ remaining: 3 })
    await limiter.check('login', { key: 'a', cost: 3 })
    await limiter.reset('login', { key: 'a' })
    expect(await limiter.peek('login', { key: 'a' })).toMatchObject({ remaining: 3 })
  })

  test('countIf reserves and settles', async () => {
    const { open, limiter } = limited(await make({ points: 2, duration: 60 }), { countIf: (r) => r.status === 401 })
    for (let i = 0; i < 5; i++) {
      exchangeOf(await open()).onHead(head(200))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (let i = 0; i < 2; i++) exchangeOf(await open()).onHead(head(401))
    expect(statusOf(await open())).toBe(429)
    await limiter.close()
  })
})

describe('what is a refusal and what is a failure', () => {
  const answering = (consume: () => Promise<unknown>): FlexibleLimiter => ({
    points: 5,
    duration: 60,
    consume: consume as FlexibleLimiter['consume'],
    get: async () => null,
    reward: async () => undefined,
    delete: async () => true,
  })

  test.each([
    ['an Error', () => Promise.reject(new Error('connection lost'))],
    [
      'an Error that looks like a refusal',
      () => Promise.reject(Object.assign(new Error('x'), { msBeforeNext: 5, remainingPoints: 0 })),
    ],
    ['nothing', () => Promise.reject(undefined)],
    ['a text', () => Promise.reject('no')],
    ['an answer of another kind', () => Promise.resolve({ user: { remainingPoints: 1 } })],
  ])('%s is a failure: the policy decides, and it is an event', async (_, consume) => {
    const { open, sink } = limited(answering(consume), { onOutage: 'open' })
    expect(statusOf(await open())).toBe(200)
    expect(sink.of('store-error')).toHaveLength(1)
    const closed = limited(answering(consume), { onOutage: 'closed' })
    expect(statusOf(await closed.open())).toBe(503)
  })

  test('a result it rejects with is a refusal, and no event', async () => {
    const refusal = { remainingPoints: 0, msBeforeNext: 4_200, consumedPoints: 6 }
    const { open, sink } = limited(
      answering(() => Promise.reject(refusal)),
      { onOutage: 'open' },
    )
    const opening = await open()
    expect(statusOf(opening)).toBe(429)
    expect(fieldsOf(opening).get('retry-after')).toBe('5')
    expect(sink.of('store-error')).toEqual([])
  })
})

describe('limiters whose settings break what a policy promises are refused', () => {
  const make = (options: Options) => new RateLimiterMemory(options)

  test.each([
    ['no limiter', () => flexible({} as never), /must be a single limiter/],
    [
      'a union',
      () =>
        flexible(
          new RateLimiterUnion(
            make({ points: 1, duration: 1, keyPrefix: 'a' }),
            make({ points: 2, duration: 1, keyPrefix: 'b' }),
          ) as never,
        ),
      /must be a single limiter/,
    ],
    ['a window that never ends', () => flexible(make({ points: 1, duration: 0 })), /duration/],
    ['decisions that wait', () => flexible(make({ points: 1, duration: 1, execEvenly: true })), /execEvenly/],
    [
      '30 days in memory, which admit everything',
      () => flexible(make({ points: 1, duration: 30 * 86_400 })),
      /24 days/,
    ],
    [
      'another rate',
      () => limited(make({ points: 1, duration: 1 }), { rate: '5/min' }),
      /limits\.login\.rate.*1 per 1000 ms/,
    ],
    [
      'another algorithm',
      () => limited(make({ points: 1, duration: 1 }), { algorithm: 'token-bucket' }),
      /fixed windows/,
    ],
    [
      'a rate of the calendar',
      () => limited(make({ points: 5, duration: 86_400 }), { rate: '5/calendar day' }),
      /limits\.login\.rate.*must not be of the calendar.*5 per 86400000 ms from the first request on.*5\/calendar day/,
    ],
    [
      'a time zone for its own rate',
      () => limited(make({ points: 5, duration: 86_400 }), { timeZone: 'UTC' }),
      /limits\.login\.timeZone.*left out/,
    ],
  ])('%s', (_, fn, message) => {
    expect(fn).toThrow(message)
  })

  test('its own rate, written out, is fine', () => {
    expect(() => limited(make({ points: 5, duration: 60 }), { rate: '5/min' })).not.toThrow()
  })
})
