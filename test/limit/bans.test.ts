import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { isSluiceError } from '../../packages/core/src/base/errors.ts'
import { by } from '../../packages/core/src/exchange/client/by.ts'
import type { Ban } from '../../packages/core/src/limit/bans/bans.ts'
import { createLimiter, type LimiterOptions } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyOptions } from '../../packages/core/src/limit/policy/options.ts'
import { MemoryLimitStore } from '../../packages/core/src/limit/store/memory-limit-store.ts'
import type { Charge, LimitStore, Verdict } from '../../packages/core/src/limit/store/store.ts'
import { bodyOf, exchangeOf, fieldsOf, head, ManualClock, open, request, Sink, statusOf } from './helpers.ts'

const minute = 60_000
const day = 1_440 * minute

function make(limits: LimiterOptions['limits'] = {}, rest: Partial<LimiterOptions> = {}, clock = new ManualClock()) {
  const sink = new Sink()
  const limiter = createLimiter({ limits, clock, events: sink, ...rest })
  const check = (name = 'login', key = 'a') => limiter.check(name, { key }) as Verdict
  const bans = (name?: string) => limiter.bans(name) as readonly Ban[]
  return { clock, sink, limiter, check, bans }
}

const thrown = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    return isSluiceError(error) ? `${error.code}: ${error.message}` : String(error)
  }
  return 'did not throw'
}

const login: PolicyOptions = { rate: '2/min', algorithm: 'fixed-window', ban: { after: 3, for: '15m' } }

/** What the documentation says of bans, written down a second time: every refusal is kept, and nothing is ever cleared up. */
class Model {
  readonly #quota: number
  readonly #windowMs: number
  readonly #rules: { after: number; within: number; for: number; factor: number; max: number; forget: number }
  #window = { start: Number.NEGATIVE_INFINITY, used: 0 }
  #refusals: number[] = []
  #seenMs = Number.NEGATIVE_INFINITY
  times = 0
  untilMs = Number.NEGATIVE_INFINITY
  byHand = false

  constructor(quota: number, windowMs: number, rules: Model['rules']) {
    this.#quota = quota
    this.#windowMs = windowMs
    this.#rules = rules
  }

  get rules() {
    return this.#rules
  }

  #forget(now: number): void {
    if (now - Math.max(this.untilMs, this.#seenMs) >= this.#rules.forget) this.times = 0
  }

  #begin(now: number, ms: number): void {
    this.untilMs = now + ms
    this.#seenMs = now
    this.#refusals = []
  }

  ask(now: number): { allowed: boolean; waitMs: number; begins: boolean } {
    const quotaWait = () => Math.max(0, this.#window.start + this.#windowMs - now)
    if (quotaWait() === 0) this.#window = { start: now, used: 0 }
    const full = this.#window.used >= this.#quota
    if (now < this.untilMs) {
      if (this.#window.used === 0) this.#window.start = Number.NEGATIVE_INFINITY
      return { allowed: false, waitMs: Math.max(this.untilMs - now, full ? quotaWait() : 0), begins: false }
    }
    if (!full) {
      this.#window.used++
      return { allowed: true, waitMs: 0, begins: false }
    }
    this.#forget(now)
    this.#seenMs = now
    this.#refusals.push(now)
    const { after, within, factor, max } = this.#rules
    if (this.#refusals.filter((at) => now - at < within).length < after) {
      return { allowed: false, waitMs: quotaWait(), begins: false }
    }
    this.times++
    this.byHand = false
    let ms = this.#rules.for
    for (let i = 1; i < this.times; i++) ms = Math.min(max, Math.floor(ms * factor))
    this.#begin(now, ms)
    return { allowed: false, waitMs: Math.max(ms, quotaWait()), begins: true }
  }

  shut(now: number, ms: number): void {
    if (now >= this.untilMs) {
      this.#forget(now)
      this.times++
    }
    this.byHand = true
    this.#begin(now, ms)
  }

  lift(): void {
    this.#refusals = []
    this.times = 0
    this.untilMs = Number.NEGATIVE_INFINITY
    this.#seenMs = Number.NEGATIVE_INFINITY
  }
}

const rules = fc
  .record({
    after: fc.integer({ min: 1, max: 5 }),
    within: fc.integer({ min: 1, max: 5_000 }),
    for: fc.integer({ min: 1, max: 3_000 }),
    factor: fc.constantFrom(1, 1.5, 2, 3),
    more: fc.integer({ min: 0, max: 30_000 }),
    forget: fc.integer({ min: 0, max: 20_000 }),
  })
  .map(({ more, ...given }) => ({ ...given, max: given.for + more }))

const steps = fc.array(
  fc.record({
    pass: fc.oneof({ arbitrary: fc.integer({ min: 0, max: 50 }), weight: 6 }, fc.integer({ min: 0, max: 30_000 })),
    what: fc.oneof({ arbitrary: fc.constant('ask' as const), weight: 20 }, fc.constantFrom('shut', 'lift', 'list')),
    ms: fc.integer({ min: 1, max: 5_000 }),
    key: fc.constantFrom('a', 'b'),
  }),
  { minLength: 20, maxLength: 120 },
)

describe('any history', () => {
  test('is answered as the rules say, to the millisecond', () => {
    const counted = { begun: 0, lifted: 0 }
    const about = fc.property(rules, fc.integer({ min: 0, max: 3 }), steps, (given, quota, history) => {
      const rate = quota === 0 ? '0' : `${quota}/700 ms`
      const { clock, limiter, check, bans, sink } = make({
        login: { rate, ...(quota > 0 && { algorithm: 'fixed-window' as const }), ban: given },
      })
      // `0` refuses for a second, and for ever.
      const models = { a: new Model(quota, 700, given), b: new Model(quota, 700, given) }
      let begun = 0
      for (const { pass, what, ms, key } of history) {
        clock.advance(pass)
        const model = models[key]
        const now = clock.now()
        if (what === 'shut') {
          limiter.ban('login', { key, for: ms })
          model.shut(now, ms)
        } else if (what === 'lift') {
          expect(limiter.unban('login', { key })).toBe(now < model.untilMs)
          if (now < model.untilMs) counted.lifted++
          model.lift()
        } else if (what === 'list') {
          const held = Object.values(models).filter(({ untilMs }) => now < untilMs)
          const listed = bans('login').map(({ until, times, byHand }) => [until.getTime(), times, byHand])
          const expected = held.map(({ untilMs, times, byHand }) => [untilMs, times, byHand])
          const inOrder = (list: unknown[][]) => list.map((one) => one.join()).sort()
          expect(inOrder(listed)).toEqual(inOrder(expected))
        } else {
          const expected = model.ask(now)
          const verdict = check('login', key)
          if (expected.begins) begun++
          expect(verdict.allowed).toBe(expected.allowed)
          if (quota > 0) expect(verdict.retryAfterMs).toBe(expected.waitMs)
        }
      }
      expect(limiter.stats().bans).toBe(begun)
      expect(sink.of('banned').filter(({ byHand }) => !byHand)).toHaveLength(begun)
      counted.begun += begun
    })
    fc.assert(about, { numRuns: 150 })
    expect(counted.begun).toBeGreaterThan(200)
    expect(counted.lifted).toBeGreaterThan(10)
  })

  test('of more refusals than are remembered one by one begins a ban no later, and never with fewer', () => {
    const [after, within] = [150, 16_000]
    const about = fc.property(
      fc.array(fc.integer({ min: 0, max: 250 }), { minLength: 200, maxLength: 400 }),
      (waits) => {
        const { clock, check } = make({ login: { rate: '0', ban: { after, within, for: 1, forget: 0 } } })
        let refusals: number[] = []
        for (const ms of waits) {
          clock.advance(ms + 1)
          const now = clock.now()
          refusals.push(now)
          const inside = (span: number) => refusals.filter((at) => now - at < span).length
          const { banned } = check()
          if (banned) {
            expect(inside((within * 17) / 16 + 1)).toBeGreaterThanOrEqual(after)
            refusals = []
          } else expect(inside(within)).toBeLessThan(after)
        }
      },
    )
    fc.assert(about, { numRuns: 30 })
  })
})

describe('the answer to whoever is shut out', () => {
  test('is 429 as abnormal-usage-detected with the seconds until it is over, byte for byte', () => {
    const { clock, limiter } = make({ login })
    const pipeline = limiter.pipeline('login')
    expect(Array.from({ length: 4 }, () => statusOf(open(pipeline)))).toEqual([200, 200, 429, 429])
    expect(bodyOf(open(pipeline))).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected',
      title: 'Request not satisfied due to detection of abnormal request pattern',
      status: 429,
      'violated-policies': ['login'],
    })
    clock.advance(14 * minute - 400)
    const opening = open(pipeline)
    expect(fieldsOf(opening).get('retry-after')).toBe('61')
    expect(fieldsOf(opening).get('cache-control')).toBe('no-store')
    clock.advance(60_399)
    expect(fieldsOf(open(pipeline)).get('retry-after')).toBe('1')
    clock.advance(1)
    expect(statusOf(open(pipeline))).toBe(200)
  })

  test('says when, also to a request that costs more than the quota is', () => {
    const { limiter } = make({ login: { ...login, cost: 9 } })
    const pipeline = limiter.pipeline('login')
    const seen = Array.from({ length: 4 }, () => fieldsOf(open(pipeline)).get('retry-after'))
    expect(seen).toEqual([undefined, undefined, '900', '900'])
  })

  test('waits for a quota that takes longer than the ban', () => {
    const { check } = make({ login: { rate: '1/h', algorithm: 'fixed-window', ban: { after: 1, for: '1m' } } })
    check()
    expect(check()).toMatchObject({ banned: { begins: true, times: 1 }, retryAfterMs: 60 * minute })
  })

  test('is told to `respond`', () => {
    const told: boolean[] = []
    const respond: PolicyOptions['respond'] = ({ banned, violated }) => {
      told.push(banned)
      return { banned, violated }
    }
    const { limiter } = make({ login: { ...login, respond } })
    const pipeline = limiter.pipeline('login')
    const bodies = Array.from({ length: 5 }, () => open(pipeline)).slice(2)
    expect(told).toEqual([false, false, true])
    expect(bodyOf(bodies[2]!)).toEqual({ banned: true, violated: ['login'] })
    expect(statusOf(bodies[2]!)).toBe(429)
  })

  test('of several rates names each once', () => {
    const { limiter } = make({ login: { rate: '1/min; 1/h', ban: { after: 2, for: '1h' } } })
    const pipeline = limiter.pipeline('login')
    const [, first, second] = Array.from({ length: 3 }, () => open(pipeline))
    expect(bodyOf(first!)['violated-policies']).toEqual(['login', 'login-2'])
    expect(bodyOf(second!)['violated-policies']).toEqual(['login', 'login-2'])
  })
})

describe('while a key is shut out', () => {
  test('nothing is charged, in no policy', () => {
    const { clock, limiter, check } = make({ login, all: '100/h' })
    for (let i = 0; i < 5; i++) check()
    const pipeline = limiter.pipeline('login', 'all')
    const left = () => (limiter.peek('all', { key: '192.0.2.1' }) as Verdict).remaining
    limiter.ban('login', { key: '192.0.2.1', for: '10m' })
    for (let i = 0; i < 10; i++) expect(statusOf(open(pipeline))).toBe(429)
    expect(left()).toBe(100)
    clock.advance(10 * minute)
    // Nor was a refusal counted meanwhile.
    expect([200, 200, 429, 429]).toEqual(Array.from({ length: 4 }, () => statusOf(open(pipeline))))
    expect(left()).toBe(98)
  })

  test('another policy of the same request counts no refusals', () => {
    const { limiter, bans } = make({ a: { ...login, rate: '0' }, b: { rate: '0', ban: { after: 1, for: '1h' } } })
    limiter.ban('a', { key: '192.0.2.1', for: '1h' })
    const pipeline = limiter.pipeline('a', 'b')
    for (let i = 0; i < 5; i++) open(pipeline)
    expect(bans().map(({ policy }) => policy)).toEqual(['a'])
    limiter.unban('a', { key: '192.0.2.1' })
    open(pipeline)
    expect(bans().map(({ policy }) => policy)).toEqual(['b'])
  })

  test('`peek` says so and counts nothing; `reset` lifts no ban, of a key or of all', () => {
    const { limiter, check } = make({ login })
    const peek = () => limiter.peek('login', { key: 'a' }) as Verdict
    check()
    check()
    for (let i = 0; i < 10; i++) expect(peek()).toMatchObject({ allowed: false })
    for (let i = 0; i < 3; i++) check()
    expect(peek()).toMatchObject({ allowed: false, retryAfterMs: 15 * minute, banned: { begins: false, times: 1 } })
    limiter.reset('login', { key: 'a' })
    expect(peek()).toMatchObject({ allowed: false, banned: { begins: false, times: 1 } })
    limiter.reset('login')
    limiter.refund('login', { key: 'a' })
    expect(check()).toMatchObject({ allowed: false, banned: { begins: false, times: 1 } })
  })

  test('its other policies, other keys and the same key elsewhere are not', () => {
    const { check } = make({ login, other: login })
    for (let i = 0; i < 5; i++) check()
    expect([check().allowed, check('other').allowed, check('login', 'b').allowed]).toEqual([false, true, true])
  })

  test('every route of a policy is closed, whichever it was refused on', () => {
    const { limiter } = make({ login })
    const pipeline = limiter.pipeline('login').per('route')
    const at = (route: string) => statusOf(open(pipeline, { route }))
    expect([at('/a'), at('/a'), at('/a'), at('/a'), at('/b')]).toEqual([200, 200, 429, 429, 200])
    expect([at('/a'), at('/b'), at('/c')]).toEqual([429, 429, 429])
  })
})

describe('who is never shut out', () => {
  test('whoever is on the list of `allow`, exempt, or skipped', () => {
    const { limiter } = make({
      login: { ...login, allow: ['192.0.2.1'] },
      skipping: { ...login, skip: () => true },
    })
    for (const name of ['login', 'skipping']) {
      limiter.ban(name, { key: '192.0.2.1', for: '1h' })
      expect(statusOf(open(limiter.pipeline(name)))).toBe(200)
    }
    limiter.ban('login', { key: '192.0.2.2', for: '1h' })
    const native = {}
    limiter.exempt().open(request({ ip: '192.0.2.2', native }))
    expect(statusOf(open(limiter.pipeline('login'), { ip: '192.0.2.2', native }))).toBe(200)
    expect(statusOf(open(limiter.pipeline('login'), { ip: '192.0.2.2' }))).toBe(429)
  })

  test('all those of whom it cannot be told who they are: they share a bucket, and no ban', () => {
    const { limiter, bans } = make({ login: { ...login, key: () => undefined }, ip: login })
    for (const [name, given] of [
      ['login', {}],
      ['ip', { ip: undefined }],
    ] as const) {
      const pipeline = limiter.pipeline(name)
      const seen = Array.from({ length: 20 }, () => open(pipeline, given))
      expect(bodyOf(seen[19]!).type).toMatch(/quota-exceeded$/)
    }
    expect(bans()).toEqual([])
  })

  test('a stranger who is refused at the bucket that unknown keys share while memory is full', () => {
    const clock = new ManualClock()
    const store = new MemoryLimitStore(clock, { maxKeys: 4 })
    const { check, bans, limiter } = make({ login: { ...login, rate: '1/h' } }, { store }, clock)
    // Blocked keys, which may not leave: no room is left.
    for (let i = 0; i < 20; i++) check('login', `full${i}`)
    expect(limiter.stats().store.overflowed).toBeGreaterThan(0)
    for (let i = 0; i < 50; i++) expect(check('login', `stranger${i % 2}`)).toMatchObject({ allowed: false })
    expect(bans()).toEqual([])
    expect(thrown(() => limiter.ban('login', { key: 'one more', for: '1h' }))).toMatch(/^ERR_SLUICE_STORE/)
  })

  test('with `countIf`, whoever fails: refusals count, failures do not', () => {
    const { limiter, bans } = make({ login: { ...login, countIf: ({ status }) => status === 401 } })
    const pipeline = limiter.pipeline('login')
    const attempt = (status: number) => {
      const opening = open(pipeline)
      if (opening.kind === 'proceed') exchangeOf(opening).onHead!(head(status) as never)
      return statusOf(opening)
    }
    expect([200, 200, 401, 401].map(attempt)).toEqual([200, 200, 200, 200])
    expect(bans()).toEqual([])
    expect([401, 401, 401].map(attempt)).toEqual([429, 429, 429])
    expect(bans()).toHaveLength(1)
  })
})

describe('a request that comes by the same policy twice', () => {
  test('is asked about its ban once, and counts one refusal', () => {
    const { limiter } = make({ login, other: '1/h' })
    const [first, second] = [limiter.pipeline('login'), limiter.pipeline('login', 'other')]
    const pass = () => {
      const native = {}
      const one = open(first, { native })
      return one.kind === 'proceed' ? open(second, { native }) : one
    }
    expect([pass(), pass()].map(statusOf)).toEqual([200, 429])
    // The second one was refused by `other`, and gave back what `login` had taken.
    expect((limiter.peek('login', { key: '192.0.2.1' }) as Verdict).remaining).toBe(1)
    for (let i = 0; i < 20; i++) expect(bodyOf(pass())['violated-policies']).toEqual(['other'])
  })
})

describe('a shadow policy', () => {
  test('only reports: nobody is refused, no `banned` is told', () => {
    const { limiter, sink, bans } = make({ login: { ...login, shadow: true } })
    const pipeline = limiter.pipeline('login')
    for (let i = 0; i < 10; i++) expect(statusOf(open(pipeline))).toBe(200)
    expect(sink.of('shadow-denied')).toHaveLength(8)
    expect(new Set(sink.of('shadow-denied').map(({ violated }) => violated.join()))).toEqual(new Set(['login']))
    expect([sink.of('banned'), sink.of('denied')]).toEqual([[], []])
    const { policies, bans: begun, banDenied, denied, shadowDenied } = limiter.stats()
    expect([begun, banDenied, denied, shadowDenied]).toEqual([0, 0, 0, 8])
    expect(policies.login).toMatchObject({
      allowed: 2,
      denied: 0,
      shadowDenied: 8,
      nearLimit: 0,
      bans: 1,
      banDenied: 6,
    })
    expect(bans('login')).toHaveLength(1)
  })
})

describe('events and counters', () => {
  test('tell of a ban once, without a key, and of its end by hand', () => {
    const { clock, limiter, sink, bans } = make({ login })
    const pipeline = limiter.pipeline('login')
    for (let i = 0; i < 12; i++) open(pipeline)
    const [{ subject, ...told }, ...more] = sink.of('banned') as [Ban]
    const until = new Date(clock.now() + 15 * minute)
    expect([told, more]).toEqual([{ policy: 'login', until, times: 1, byHand: false }, []])
    expect(subject).toMatch(/^[\w-]{22}$/)
    expect(bans('login')).toEqual([{ policy: 'login', subject, until, times: 1, byHand: false, reason: undefined }])
    expect(JSON.stringify(sink.events)).not.toContain('192.0.2.1')
    expect(limiter.stats()).toMatchObject({ allowed: 2, denied: 10, bans: 1, banDenied: 8 })
    expect(limiter.stats().policies.login).toMatchObject({
      allowed: 2,
      denied: 10,
      shadowDenied: 0,
      nearLimit: 0,
      bans: 1,
      banDenied: 8,
    })
    expect(sink.of('denied').every(({ violated }) => violated.join() === 'login')).toBe(true)
    limiter.unban('login', { key: '192.0.2.1' })
    limiter.unban('login', { key: '192.0.2.1' })
    expect(sink.of('unbanned')).toEqual([{ policy: 'login', subject }])
    expect(sink.of('allowed').every(({ policies }) => policies.length === 1)).toBe(true)
  })
})

describe('by hand', () => {
  test('a key is shut out by any notation of its natural name, with a reason, and let in by its entry', () => {
    const { clock, limiter, bans } = make({
      ip: { rate: 'unlimited', ban: 'by-hand' },
      header: { rate: '5/s', key: by.header('x-key'), ban: 'by-hand' },
      pair: { rate: '5/s', key: by(by.ip, by.header('x-key')), ban: 'by-hand' },
    })
    const headers = { 'x-key': 'k1' }
    const status = (name: string) => statusOf(open(limiter.pipeline(name), { headers }))
    const made = [
      limiter.ban('ip', { key: '::ffff:192.0.2.1', for: '1h', reason: 'ticket "4711"' }),
      limiter.ban('header', { key: 'k1', for: '2h' }),
      limiter.ban('pair', { key: ['192.0.2.1', 'k1'], for: '3h' }),
    ] as readonly Ban[]
    expect(['ip', 'header', 'pair'].map(status)).toEqual([429, 429, 429])
    expect(bans()).toEqual(made)
    expect(made[0]).toEqual({
      policy: 'ip',
      subject: expect.stringMatching(/^[\w-]{22}$/),
      until: new Date(clock.now() + 60 * minute),
      times: 1,
      byHand: true,
      reason: 'ticket "4711"',
    })
    // As it may have come back from an operator's page.
    for (const entry of bans()) expect(limiter.unban(entry.policy, JSON.parse(JSON.stringify(entry)))).toBe(true)
    expect(bans()).toEqual([])
    expect(['ip', 'header', 'pair'].map(status)).toEqual([200, 200, 200])
    expect(limiter.unban('ip', { key: '192.0.2.1' })).toBe(false)
  })

  test('without limits there is nothing else to say', () => {
    const { limiter, check } = make({ login: { rate: 'unlimited', ban: 'by-hand' } })
    expect([check().limit, (limiter.peek('login', { key: 'a' }) as Verdict).remaining]).toEqual([Infinity, Infinity])
    limiter.ban('login', { key: 'a', for: '1m' })
    expect(check()).toMatchObject({ allowed: false, retryAfterMs: minute, banned: { begins: false, times: 1 } })
    expect(limiter.peek('login', { key: 'a' })).toMatchObject({ allowed: false, retryAfterMs: minute })
  })

  test('a ban takes the place of one that holds, longer or shorter, and counts as one', () => {
    const { clock, limiter, check, bans } = make({ login })
    for (let i = 0; i < 5; i++) check()
    limiter.ban('login', { key: 'a', for: '1m' })
    expect(bans()[0]).toMatchObject({ times: 1, byHand: true, until: new Date(clock.now() + minute) })
    clock.advance(minute)
    for (let i = 0; i < 5; i++) check()
    expect(bans()[0]).toMatchObject({ times: 2, byHand: false, until: new Date(clock.now() + 30 * minute) })
  })

  test('letting in starts anew', () => {
    const { limiter, check, bans } = make({ login })
    for (let i = 0; i < 5; i++) check()
    limiter.unban('login', { key: 'a' })
    // Its quota is used up as before, and its refusals count from nothing.
    expect([check(), check()].map(({ banned }) => banned)).toEqual([undefined, undefined])
    expect(check().banned).toEqual({ begins: true, times: 1 })
    limiter.unban('login', bans()[0]!)
    limiter.reset('login', { key: 'a' })
    expect(check().allowed).toBe(true)
  })

  test('needs a policy that asks about bans, and says so', () => {
    const { limiter } = make({ login, plain: '5/s' })
    const needs =
      /^ERR_SLUICE_OPTION: Option `limits.plain.ban` must be given for a key to be shut out; 'by-hand' is enough/
    expect(thrown(() => limiter.ban('plain', { key: 'a', for: '1h' }))).toMatch(needs)
    expect(thrown(() => limiter.unban('plain', { key: 'a' }))).toMatch(needs)
    expect(thrown(() => limiter.bans('plain'))).toMatch(needs)
    expect(thrown(() => limiter.bans('logn'))).toMatch(/^ERR_SLUICE_POLICY: .*Did you mean `login`/)
    expect(make({ plain: '5/s' }).bans()).toEqual([])
  })

  test.each<[string, unknown, RegExp]>([
    ['no time', { key: 'a' }, /Option `for` must be/],
    ['no time at all', { key: 'a', for: 0 }, /Option `for` must be from 1 ms to 366 days/],
    ['for ever', { key: 'a', for: '400d' }, /Option `for` must be from 1 ms to 366 days/],
    ['nobody', { for: '1h' }, /Option `subject` must be the `subject` of an entry of `bans\(\)`; or give a `key`/],
    ['a key that is none', { key: {}, for: '1h' }, /Option `key` must be a string/],
    ['a subject that is none', { subject: 'x', for: '1h' }, /Option `subject` must be/],
    ['another policy’s', { subject: 'x'.repeat(22), policy: 'other', for: '1h' }, /Option `policy` must be `login`/],
    [
      'a long story',
      { key: 'a', for: '1h', reason: 'x'.repeat(201) },
      /Option `ban.reason` must be a text of at most 200/,
    ],
    ['a slip', { key: 'a', four: '1h' }, /There is no option `ban.four`. Did you mean `for`/],
  ])('refuses %s', (_, asked, message) => {
    const { limiter } = make({ login })
    expect(thrown(() => limiter.ban('login', asked as never))).toMatch(message)
  })

  test('is over with the limiter', async () => {
    const { limiter } = make({ login })
    await limiter.close()
    for (const fn of [() => limiter.ban('login', { key: 'a', for: 1 }), () => limiter.unban('login', { key: 'a' })]) {
      expect(thrown(fn)).toMatch(/^ERR_SLUICE_CLOSED/)
    }
    expect(thrown(() => limiter.bans())).toMatch(/^ERR_SLUICE_CLOSED/)
  })
})

describe('the option', () => {
  test.each<[unknown, RegExp]>([
    ['yes', /`limits.login.ban` must be one of 'by-hand'|"by-hand".*object/],
    [{}, /`limits.login.ban.after` must be given/],
    [{ after: 3 }, /`limits.login.ban.for` must be given/],
    [{ after: 0, for: '1h' }, /`limits.login.ban.after` must be a whole number above 0/],
    [{ after: 3, for: 'soon' }, /`limits.login.ban.for` must be milliseconds or a duration/],
    [{ after: 3, for: 0 }, /`limits.login.ban.for` must be from 1 ms to 366 days/],
    [{ after: 3, for: '1h', within: '400d' }, /`limits.login.ban.within` must be from 1 ms to 366 days/],
    [{ after: 3, for: '1h', factor: 0.5 }, /`limits.login.ban.factor` must be a number of 1 or more/],
    [{ after: 3, for: '1h', max: '1m' }, /`limits.login.ban.max` must be no shorter than `for`/],
    [{ after: 3, for: '1h', forget: '400d' }, /`limits.login.ban.forget` must be from 1 ms to 366 days/],
    [{ after: 3, for: '1h', until: 3 }, /There is no option `limits.login.ban.until`/],
  ])('refuses %j', (ban, message) => {
    expect(thrown(() => make({ login: { rate: '1/s', ban: ban as never } }))).toMatch(message)
  })

  test('does not go with `lease`, nor with a store that keeps no bans', () => {
    const ban = { after: 3, for: '1h' }
    expect(thrown(() => make({ login: { rate: '1/s', lease: 5, ban } }))).toMatch(
      /`limits.login.lease` must be left out/,
    )
    const { consume, peek, settle, renew, refund, reset, usage, close } = MemoryLimitStore.prototype
    const store: LimitStore = { kind: 'remote', consume, peek, settle, renew, refund, reset, usage, close }
    const plain = /`limits.login.ban` must be left out: the store of the policy keeps no bans/
    expect(thrown(() => make({ login: { rate: '1/s', ban } }, { store }))).toMatch(plain)
    expect(thrown(() => make({ login: { rate: '1/s', ban, store } }))).toMatch(plain)
  })

  test('has defaults: 10 minutes, twice as long each time, a day at most, forgotten after a week', () => {
    const { clock, check } = make({ login: { rate: '0', ban: { after: 1, for: '5h' } } })
    const lasts = () => check().retryAfterMs
    const seen: number[] = []
    for (let i = 0; i < 5; i++) {
      seen.push(lasts())
      clock.advance(seen[i]!)
    }
    expect(seen.map((ms) => ms / (60 * minute))).toEqual([5, 10, 20, 24, 24])
    clock.advance(7 * day - 1)
    expect(lasts()).toBe(day)
    clock.advance(day + 7 * day)
    expect(lasts()).toBe(300 * minute)
    const long = make({ login: { rate: '0', ban: { after: 1, for: '3d' } } })
    expect(long.check().retryAfterMs).toBe(3 * day)
  })

  test('says the same where it is given in place twice', () => {
    const { limiter } = make()
    const given = () => ({ name: 'x', rate: '1/s', ban: { after: 3, for: '1h' } })
    limiter.pipeline(given())
    limiter.pipeline(given())
    expect(thrown(() => limiter.pipeline({ ...given(), ban: { after: 4, for: '1h' } }))).toMatch(
      /Two different policies/,
    )
  })
})

describe('memory', () => {
  test('keeps a ban through any flood of keys, and a key that was never refused costs it nothing', () => {
    const clock = new ManualClock()
    const store = new MemoryLimitStore(clock, { maxKeys: 100 })
    const { check, limiter } = make({ login }, { store }, clock)
    for (let i = 0; i < 5; i++) check()
    expect(limiter.stats().store.entries).toBe(2)
    clock.advance(5 * minute)
    for (let i = 0; i < 5_000; i++) check('login', `k${i}`)
    expect(limiter.stats().store.entries).toBeLessThanOrEqual(100)
    expect(check()).toMatchObject({ allowed: false, banned: { begins: false, times: 1 } })
  })

  test('forgets by itself: a key that behaves takes no room for ever', () => {
    const { clock, check, limiter } = make({ login: { ...login, ban: { after: 3, for: '1m', forget: '1h' } } })
    for (let i = 0; i < 5; i++) check()
    clock.advance(61 * minute)
    for (let i = 0; i < 10; i++) check('login', `k${i}`)
    expect(limiter.stats().store.entries).toBe(10)
  })
})

describe('a clock that is set back', () => {
  test.each([1, 10 * minute, 365 * day])(
    'by %d ms ends no ban early and prolongs it by its own length at most',
    (ms) => {
      const { clock, check } = make({ login: { rate: '0', ban: { after: 1, for: '15m' } } })
      check()
      clock.advance(5 * minute)
      clock.block(-ms)
      expect(check().retryAfterMs).toBeGreaterThanOrEqual(10 * minute)
      expect(check().retryAfterMs).toBeLessThanOrEqual(15 * minute)
      clock.advance(10 * minute - 1)
      expect(check()).toMatchObject({ banned: { begins: false } })
      clock.advance(5 * minute + 1)
      // Refused by its quota, which admits nothing: a ban of its own.
      expect(check()).toMatchObject({ banned: { begins: true } })
    },
  )
})

describe('a remote store that is out', () => {
  /** What a process knows of a store that others change too. */
  function away(onOutage: PolicyOptions['onOutage']) {
    const clock = new ManualClock()
    const inner = new MemoryLimitStore(clock)
    let out = false
    const ask = async <T>(fn: () => T): Promise<T> => {
      if (out) throw new Error('out')
      return fn()
    }
    const store: LimitStore = {
      kind: 'remote',
      consume: (charges) => ask(() => inner.consume(charges)),
      peek: (charges) => ask(() => inner.peek(charges)),
      settle: (settlements) => ask(() => inner.settle(settlements)),
      renew: (charges) => ask(() => inner.renew(charges)),
      refund: (charges) => ask(() => inner.refund(charges)),
      reset: (charges) => ask(() => inner.reset(charges)),
      ban: (charge, given) => ask(() => inner.ban(charge, given)),
      unban: (charge) => ask(() => inner.unban(charge)),
      bans: (policies) => ask(() => inner.bans(policies)),
      usage: () => inner.usage(),
      close: () => inner.close(),
    }
    const { limiter, sink } = make({ login: { ...login, onOutage } }, { store }, clock)
    const check = async (key = 'a') => limiter.check('login', { key })
    const set = (now: boolean) => {
      out = now
      clock.advance(10_000)
    }
    return { clock, inner, limiter, sink, check, set }
  }

  test('leaves the bans this process knows of in force, for as long as they would have lasted', async () => {
    const { clock, check, set, limiter } = away('local')
    for (let i = 0; i < 5; i++) await check()
    await limiter.ban('login', { key: 'hand', for: '20m' })
    set(true)
    expect(await check()).toMatchObject({ allowed: false, via: 'local', banned: { times: 1 } })
    expect(await check('hand')).toMatchObject({ allowed: false, via: 'local', retryAfterMs: 20 * minute - 10_000 })
    expect(await check('b')).toMatchObject({ allowed: true, via: 'local' })
    clock.advance(15 * minute - 10_000)
    expect(await check()).toMatchObject({ allowed: true, via: 'local' })
    expect(await check('hand')).toMatchObject({ allowed: false })
  })

  test('forgets a ban that was lifted elsewhere as soon as it hears of it', async () => {
    const { inner, check, set } = away('local')
    for (let i = 0; i < 5; i++) await check()
    for (const ban of inner.bans(['login'])) inner.unban({ key: `${ban.subject}:5:login:b` } as Charge)
    await check()
    set(true)
    expect((await check()).banned).toBeUndefined()
  })

  test('says so to whoever bans, lifts or lists meanwhile', async () => {
    const { check, set, limiter } = away('local')
    await check()
    set(true)
    await check()
    await expect(async () => limiter.ban('login', { key: 'a', for: '1h' })).rejects.toMatchObject({
      code: 'ERR_SLUICE_STORE',
    })
    await expect(async () => limiter.unban('login', { key: 'a' })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    await expect(async () => limiter.bans('login')).rejects.toThrow('out')
  })

  test('with `open` admits, with `closed` refuses with 503, whoever is shut out', async () => {
    for (const [onOutage, allowed] of [
      ['open', true],
      ['closed', false],
    ] as const) {
      const { check, set } = away(onOutage)
      for (let i = 0; i < 5; i++) await check()
      set(true)
      expect(await check()).toMatchObject({ allowed, via: onOutage })
    }
  })
})
