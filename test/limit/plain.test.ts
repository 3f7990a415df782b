import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyInput } from '../../packages/core/src/limit/policy/options.ts'
import { fieldsOf, ManualClock, open, statusOf } from './helpers.ts'

/**
 * A request that only a rate decides about goes a shorter way, once the first thousand were looked at for advice. Both ways
 * are held to the same answers here: a second limiter of an instance has every request go the long one.
 */
const policies: Record<string, PolicyInput> = {
  'a rate': '5/min',
  'a fixed window': { rate: '5/min', algorithm: 'fixed-window', headers: 'legacy' },
  'a token bucket': { rate: '10/min', algorithm: 'token-bucket', burst: 4, headers: 'both' },
  'a cost': { rate: '9/min', cost: 2, headers: false },
  'a cost of nothing': { rate: '2/min', cost: 0 },
  'a cost above the limit': { rate: '2/min', cost: 3 },
  'prefixes of addresses': { rate: '5/min', ipv6Prefix: 48 },
  'a body of its own': { rate: '3/min', respond: ({ violated }) => `no ${violated}` },
  'two rates': '3/s; 9/min',
  'a rate that is found': { rate: (c) => (c.ip === '192.0.2.1' ? '2/min' : '4/min') },
  'a list of those who may': { rate: '2/min', allow: ['192.0.2.1'] },
  'a list of those who may not': { rate: '2/min', deny: ['192.0.2.1'] },
  'a policy on trial': { rate: '2/min', shadow: true },
  'requests left out': { rate: '2/min', skip: (c) => c.ip === '192.0.2.1' },
  'a quota for each route': { rate: '2/min', per: 'route' },
  'another key': { rate: '2/min', key: (c) => c.header('x-key') },
}

const addresses = ['192.0.2.1', '192.0.2.2', '::ffff:192.0.2.1', '2001:db8:1:2::1', '2001:db8:1:3::1', undefined]

function instance(policy: PolicyInput, alone: boolean) {
  const clock = new ManualClock()
  const limiter = createLimiter({ limits: { one: policy, other: '1/min' }, clock, secret: 'a secret of many letters' })
  const pipeline = limiter.pipeline('one')
  if (!alone) limiter.pipeline('other')
  // Over long before what is compared begins.
  for (let i = 0; i < 1_000; i++) open(pipeline, { ip: `198.51.100.${i & 255}`, route: '/warm' })
  clock.advance(3_600_000)
  const ask = (ip: string | undefined, route: string) => {
    const opening = open(pipeline, { ip, route, headers: { 'x-key': String(ip) } })
    const body = opening.kind === 'reply' ? Buffer.from(opening.reply.body!).toString() : ''
    return { status: statusOf(opening), fields: [...fieldsOf(opening)], body }
  }
  return { clock, limiter, ask }
}

describe('the short way answers what the long one does', () => {
  test.each(Object.keys(policies))('%s', (name) => {
    const step = fc.record({
      ip: fc.constantFrom(...addresses),
      route: fc.constantFrom('/a', '/b'),
      ms: fc.constantFrom(0, 1, 700, 20_000, 90_000),
    })
    const [short, long] = [instance(policies[name]!, true), instance(policies[name]!, false)]
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        for (const { ip, route, ms } of steps) {
          for (const { clock } of [short, long]) clock.advance(ms)
          expect(short.ask(ip, route)).toEqual(long.ask(ip, route))
        }
        // Long enough for all of it to be forgotten.
        for (const { clock } of [short, long]) clock.advance(3_600_000)
        expect(short.limiter.stats()).toEqual(long.limiter.stats())
      }),
      { numRuns: 25 },
    )
  })

  test('and is left as soon as somebody listens, or there is a second limiter', () => {
    const { limiter, ask, clock } = instance('2/min', true)
    expect([1, 2, 3].map(() => ask('192.0.2.1', '/a').status)).toEqual([200, 200, 429])
    clock.advance(3_600_000)
    const native = {}
    const first = limiter.pipeline('one')
    const exempt = limiter.exempt()
    for (let i = 0; i < 5; i++) {
      expect(statusOf(open(first, { native }))).toBe(200)
      open(exempt, { native })
    }
  })
})
