import { describe, expect, test } from '@jest/globals'
import { parseList } from 'structured-headers'
import { createLimiter, type LimiterOptions } from '../../packages/core/src/limit/limiter.ts'
import type { HeaderStyle, PolicyInput } from '../../packages/core/src/limit/policy/options.ts'
import { MemoryLimitStore } from '../../packages/core/src/limit/store/memory-limit-store.ts'
import type { LimitStore } from '../../packages/core/src/limit/store/store.ts'
import { exchangeOf, fieldsOf, ManualClock, open, request, Sink, statusOf } from './helpers.ts'

function make(limits: Record<string, PolicyInput>, rest: Partial<LimiterOptions> = {}) {
  const clock = new ManualClock()
  const sink = new Sink()
  const limiter = createLimiter({ limits, clock, events: sink, ...rest })
  const crossings = (): string[] =>
    sink
      .of('near-limit')
      .map(({ policy, verdict }) => `${policy} ${verdict.limit - verdict.remaining}/${verdict.limit}`)
  return { clock, sink, limiter, crossings }
}

const log = (rate: string, over: object = {}): PolicyInput => ({ rate, algorithm: 'sliding-log', warnAt: 0.8, ...over })

describe('a soft limit', () => {
  test('is told of in each answer from there on, and emits once', () => {
    const { limiter, crossings } = make({ search: log('10/min') })
    const pipeline = limiter.pipeline('search')
    const answers = Array.from({ length: 12 }, () => open(pipeline))
    expect(answers.map(statusOf)).toEqual([...Array(10).fill(200), 429, 429])
    expect(answers.map((answer) => fieldsOf(answer).get('ratelimit-warning'))).toEqual([
      ...Array(7).fill(undefined),
      '"search";r=2;q=10',
      '"search";r=1;q=10',
      ...Array(3).fill('"search";r=0;q=10'),
    ])
    expect(crossings()).toEqual(['search 8/10'])
    expect(limiter.stats()).toMatchObject({
      nearLimit: 1,
      policies: { search: { nearLimit: 1, allowed: 10, denied: 2 } },
    })
  })

  test('emits again when so much is used again', () => {
    const { limiter, clock, crossings } = make({ search: log('10/min') })
    const pipeline = limiter.pipeline('search')
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) open(pipeline)
      clock.advance(60_000)
    }
    expect(crossings()).toEqual(['search 8/10', 'search 8/10', 'search 8/10'])
    expect(fieldsOf(open(pipeline)).get('ratelimit-warning')).toBeUndefined()
  })

  test.each([
    // What one charge takes; which charges cross.
    [3, 0.8, [3]],
    [10, 0.8, [1]],
    [4, 0.9, []],
    [0, 0.1, []],
    [1, 1, [10]],
    [1, 0.000001, [1]],
  ] as const)('a cost of %d, warnAt %d: charges %j cross it', (cost, warnAt, expected) => {
    const { limiter, sink } = make({ p: log('10/min', { cost, warnAt }) })
    const pipeline = limiter.pipeline('p')
    const crossed: number[] = []
    for (let i = 1; i <= 12; i++) {
      const before = sink.of('near-limit').length
      open(pipeline)
      if (sink.of('near-limit').length > before) crossed.push(i)
    }
    expect(crossed).toEqual(expected)
  })

  test('is exact where a product of fractions is not: 0.07 of 100 is 7, and 0.29 of 100 is 29', () => {
    for (const [warnAt, units] of [
      [0.07, 7],
      [0.29, 29],
      [0.57, 57],
    ] as const) {
      const { limiter, crossings } = make({ p: log('100/min', { warnAt }) })
      const pipeline = limiter.pipeline('p')
      for (let i = 0; i < 60; i++) open(pipeline)
      expect(crossings()).toEqual([`p ${units}/100`])
    }
  })

  test.each(['sliding-window', 'sliding-log', 'token-bucket', 'fixed-window'] as const)('by %s', (algorithm) => {
    const { limiter, crossings } = make({ p: { rate: '10/min', algorithm, warnAt: 0.8 } })
    for (let i = 0; i < 10; i++) open(limiter.pipeline('p'))
    expect(crossings()).toEqual(['p 8/10'])
  })

  test('of a month of the calendar, and of a plan', () => {
    const rate = (): string => '10 per calendar month'
    const { limiter, crossings } = make({ p: { rate, warnAt: 0.5 } })
    const pipeline = limiter.pipeline('p')
    for (let i = 0; i < 6; i++) open(pipeline)
    expect(crossings()).toEqual(['p 5/10'])
  })

  test('of each rate of a policy by itself', () => {
    const { limiter, crossings, clock } = make({ p: { rate: '10/min; 4/s', algorithm: 'sliding-log', warnAt: 0.75 } })
    const pipeline = limiter.pipeline('p')
    const fields = Array.from({ length: 9 }, () => {
      clock.advance(260)
      return fieldsOf(open(pipeline)).get('ratelimit-warning')
    })
    expect(crossings()).toEqual(['p-2 3/4', 'p 8/10'])
    expect(fields[8]).toBe('"p";r=1;q=10, "p-2";r=0;q=4')
  })

  test('of a concurrency: while so many are out', () => {
    const { limiter, crossings } = make({ p: { rate: '4 concurrent', warnAt: 0.75 } })
    const pipeline = limiter.pipeline('p')
    const openings = Array.from({ length: 4 }, () => open(pipeline))
    expect(openings.map((one) => fieldsOf(one).get('ratelimit-warning'))).toEqual([
      undefined,
      undefined,
      '"p";r=1;q=4',
      '"p";r=0;q=4',
    ])
    for (const one of openings) exchangeOf(one).onClose?.('sent')
    expect(fieldsOf(open(pipeline)).get('ratelimit-warning')).toBeUndefined()
    expect(crossings()).toEqual(['p 3/4'])
  })

  test('of a shadow policy is an event, and no field', () => {
    const { limiter, crossings } = make({ p: log('10/min', { shadow: true }), q: '100/min' })
    const pipeline = limiter.pipeline('p', 'q')
    const answers = Array.from({ length: 15 }, () => open(pipeline))
    expect(answers.map(statusOf)).toEqual(Array(15).fill(200))
    expect(answers.every((one) => fieldsOf(one).get('ratelimit-warning') === undefined)).toBe(true)
    expect(crossings()).toEqual(['p 8/10'])
  })

  test.each<[HeaderStyle, readonly string[]]>([
    ['draft-11', ['ratelimit-warning']],
    ['legacy', ['x-ratelimit-nearlimit']],
    ['both', ['ratelimit-warning', 'x-ratelimit-nearlimit']],
    [false, []],
  ])('headers: %j sends %j', (headers, names) => {
    const { limiter, crossings } = make({ p: log('1/min') }, { headers })
    const pipeline = limiter.pipeline('p')
    for (const status of [200, 429]) {
      const answer = open(pipeline)
      expect(statusOf(answer)).toBe(status)
      const fields = [...fieldsOf(answer)].filter(([name]) => /warning|nearlimit/.test(name))
      expect(fields.map(([name]) => name)).toEqual(names)
      if (headers === 'legacy') expect(fields[0]![1]).toBe('true')
    }
    expect(crossings()).toEqual(['p 1/1'])
  })

  test('is a list that a second parser of RFC 9651 reads, whatever the policy is called', () => {
    const name = 'with "quotes" and \\ backslash'
    const { limiter } = make({ [name]: log('1/min') })
    const [[value, parameters]] = parseList(fieldsOf(open(limiter.pipeline(name))).get('ratelimit-warning')!) as [
      [string, Map<string, number>],
    ]
    expect([value, ...parameters]).toEqual([name, ['r', 0], ['q', 1]])
  })

  test('of a limiter in front is told by the ones behind it too', () => {
    const { limiter, crossings } = make({ wide: log('2/min', { warnAt: 0.5 }), narrow: log('9/min') })
    const [wide, narrow] = [limiter.pipeline('wide'), limiter.pipeline('narrow')]
    const native = {}
    open(wide, { native })
    expect(fieldsOf(open(narrow, { native })).get('ratelimit-warning')).toBe('"wide";r=1;q=2')
    expect(crossings()).toEqual(['wide 1/2'])
  })

  test('is not reached by a request that another policy refuses: nothing is charged', () => {
    const { limiter, crossings } = make({ p: log('10/min', { warnAt: 0.2 }), q: '1/min' })
    const pipeline = limiter.pipeline('p', 'q')
    for (let i = 0; i < 9; i++) open(pipeline)
    expect(crossings()).toEqual([])
  })

  test('is an event of `check` too, without a route; its verdict says how much is left', async () => {
    const { limiter, sink } = make({ p: log('5/min') })
    for (let i = 0; i < 5; i++) await limiter.check('p', { key: '192.0.2.1' })
    expect(sink.of('near-limit')).toEqual([
      { route: undefined, policy: 'p', verdict: expect.objectContaining({ allowed: true, limit: 5, remaining: 1 }) },
    ])
    await limiter.peek('p', { key: '192.0.2.1' })
    expect(sink.of('near-limit')).toHaveLength(1)
  })

  test('names route and policy, and never the key', () => {
    const { limiter, sink } = make({ p: log('1/min') })
    open(limiter.pipeline('p'), { ip: '192.0.2.99', route: '/cities/:id' })
    const [event] = sink.of('near-limit')
    expect(Object.keys(event!).sort()).toEqual(['policy', 'route', 'verdict'])
    expect(event).toMatchObject({ route: '/cities/:id', policy: 'p' })
    expect(JSON.stringify(event)).not.toContain('192.0.2')
  })

  test('of keys that share a bucket, while memory is full, is that of the bucket', () => {
    const clock = new ManualClock()
    const { limiter, crossings } = make(
      { p: log('2/min', { warnAt: 1 }) },
      { store: new MemoryLimitStore(clock, { maxKeys: 1 }) },
    )
    const pipeline = limiter.pipeline('p')
    for (const ip of ['192.0.2.1', '192.0.2.2']) for (let i = 0; i < 2; i++) open(pipeline, { ip })
    const shared = ['192.0.2.3', '192.0.2.4'].map((ip) => open(pipeline, { ip }))
    expect(shared.map((one) => fieldsOf(one).get('ratelimit-warning'))).toEqual([undefined, '"p";r=0;q=2'])
    expect(crossings()).toEqual(['p 2/2', 'p 2/2', 'p 2/2'])
  })

  test.each([
    ['local', '"p";r=1;q=5'],
    ['open', undefined],
  ] as const)('while the store is out, onOutage %s: %s', async (onOutage, expected) => {
    const out = (): Promise<never> => Promise.reject(new Error('out'))
    const store = { kind: 'remote', consume: out, peek: out, settle: out, renew: out, refund: out, reset: out }
    const { limiter } = make(
      { p: log('10/min', { onOutage, share: 0.5 }) },
      { store: { ...store, usage: () => ({}), close: () => {} } as unknown as LimitStore },
    )
    const pipeline = limiter.pipeline('p')
    const seen: (string | undefined)[] = []
    for (let i = 0; i < 4; i++) seen.push(fieldsOf(await pipeline.open(request())).get('ratelimit-warning'))
    expect(seen).toEqual([undefined, undefined, undefined, expected])
  })

  test.each([0, -0.5, 1.01, true, '0.8', Number.NaN, null])('warnAt: %j is an error at the start', (warnAt) => {
    expect(() => make({ p: { rate: '10/min', warnAt: warnAt as number } })).toThrow(
      /limits\.p\.warnAt.*must be a number above 0, up to 1/,
    )
  })
})
