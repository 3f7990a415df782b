import { describe, expect, test } from '@jest/globals'
import { checkLimits, recoveryMs } from './chaos/check-limits.ts'
import type { Entry, Loss, Outage } from './chaos/history.ts'
import { type PolicyName, type RouteName, routes } from './chaos/policies.ts'

let count = 0

/** A request that came, and was admitted a millisecond later, at that time. */
function admitted(atMs: number, over: Partial<Entry> & { readonly by?: string } = {}): Entry {
  const { by = 'store', ...rest } = over
  const route: RouteName = over.route ?? 'window'
  return {
    id: `r${count++}`,
    route,
    client: 'ann',
    worker: 'node#0.1',
    counted: true,
    sentMs: atMs - 1,
    askedMs: atMs - 0.5,
    admittedMs: atMs + 0.5,
    endedMs: atMs + 1,
    answeredMs: atMs + 1,
    status: 200,
    via: Object.fromEntries(routes[route].map((policy) => [policy, by])),
    ...rest,
  }
}

function refused(atMs: number, policy: PolicyName, over: Partial<Entry> & { readonly by?: string } = {}): Entry {
  const { admittedMs, ...entry } = admitted(atMs, over)
  return { ...entry, refusedMs: atMs, violated: [policy], status: 429, ...over }
}

const many = (n: number, atMs: number, over?: Parameters<typeof admitted>[1]): Entry[] =>
  Array.from({ length: n }, (_, i) => admitted(atMs + i / 100, over))

interface Faults {
  readonly outages?: readonly Outage[]
  readonly losses?: readonly Loss[]
}

const found = (entries: readonly Entry[], { outages = [], losses = [] }: Faults = {}): number =>
  checkLimits({ entries, outages, losses }).length

const lost = (fromMs: number, sinceMs = Number.NEGATIVE_INFINITY): Loss => ({
  what: 'lost',
  sinceMs,
  fromMs,
  untilMs: fromMs + 1,
})
const out = (fromMs: number, untilMs: number): Outage => ({ what: 'out', fromMs, untilMs })

describe('the judge of a chaos run finds', () => {
  test('one more than a window may have, in whichever window, and not one beside it', () => {
    expect(found(many(20, 5_000))).toBe(0)
    expect(found(many(21, 5_000))).toBe(1)
    expect(found([...many(10, 4_100), ...many(10, 5_000), admitted(6_050)])).toBe(1)
    expect(found([...many(10, 4_100), ...many(10, 5_000), admitted(6_101)])).toBe(0)
    expect(found([...many(20, 5_000), admitted(5_500, { client: 'bob' })])).toBe(0)
  })

  test('a request that its process never says who admitted', () => {
    const { via, ...silent } = admitted(5_500)
    expect(found([...many(20, 5_000), silent])).toBe(1)
  })

  test('nothing in what may have been charged before: only what is certain counts', () => {
    expect(found([admitted(5_000, { askedMs: 3_100 }), ...many(20, 5_000)])).toBe(1)
    expect(found([admitted(5_000, { askedMs: 2_900 }), ...many(20, 5_000)])).toBe(0)
    expect(found([...many(20, 5_000), admitted(6_900, { admittedMs: 7_200 })])).toBe(0)
  })

  test('a whole quota again where Redis has lost what was counted, and no more than that', () => {
    expect(found([...many(20, 5_000), ...many(20, 5_500)])).toBe(1)
    expect(found([...many(20, 5_000), ...many(20, 5_500)], { losses: [lost(5_300)] })).toBe(0)
    expect(found([...many(20, 5_000), ...many(21, 5_500)], { losses: [lost(5_300)] })).toBe(1)
    expect(found([...many(21, 5_000), ...many(20, 5_500)], { losses: [lost(5_300)] })).toBe(1)
  })

  test('of a failover: only what came after the replica was cut off may come twice', () => {
    const before = [...many(15, 5_000), ...many(5, 5_200)]
    const losses = [lost(5_300, 5_100)]
    expect(found([...before, ...many(5, 5_500)], { losses })).toBe(0)
    expect(found([...before, ...many(6, 5_500)], { losses })).toBe(1)
  })

  test('units in advance that are used after the loss, a sixteenth of the window and not later', () => {
    const before = many(40, 5_000, { route: 'advance' })
    const losses = [lost(5_300)]
    expect(
      found([...before, ...many(40, 5_600, { route: 'advance' }), ...many(4, 5_400, { route: 'advance' })], { losses }),
    ).toBe(0)
    expect(found([...before, ...many(41, 5_600, { route: 'advance' })], { losses })).toBe(1)
  })

  test('more of a bucket than its burst and what flows in', () => {
    expect(found(many(15, 5_000, { route: 'upload' }))).toBe(0)
    expect(found(many(16, 5_000, { route: 'upload' }))).toBe(1)
    const steady = Array.from({ length: 30 }, (_, i) => admitted(5_200 + i * 100, { route: 'upload' }))
    expect(found([...many(15, 5_000, { route: 'upload' }), ...steady])).toBe(0)
    expect(found([...many(15, 5_000, { route: 'upload' }), ...steady, ...many(3, 8_101, { route: 'upload' })])).toBe(1)
  })

  test('failures beyond what a policy counts, where what it does not count is nothing to it', () => {
    const login = { route: 'login', status: 401 } as const
    expect(found(many(7, 5_000, login))).toBe(1)
    expect(found([...many(6, 5_000, login), ...many(6, 5_000, { route: 'login', counted: false })])).toBe(0)
  })

  test('a permit too many at once, and one that is held on to', () => {
    const stream = { route: 'stream', endedMs: 9_000 } as const
    expect(found(many(3, 5_000, stream))).toBe(0)
    expect(found([...many(3, 5_000, stream), admitted(5_500, { route: 'stream' })])).toBe(1)
    expect(found([...many(2, 5_000, stream), admitted(5_001, { route: 'stream' }), admitted(5_500, stream)])).toBe(0)
    expect(found([...many(3, 5_000, stream), admitted(5_500, stream)], { losses: [lost(5_300)] })).toBe(0)
  })

  test('a share of a process that is overstepped while Redis is out, and who counts alone though it is there', () => {
    const outages = [out(4_900, 6_000)]
    const alone = (n: number, worker = 'node#0.1') => many(n, 5_000, { by: 'local', worker })
    expect(found([...alone(5), ...alone(5, 'koa#1.1'), ...many(20, 5_000)], { outages })).toBe(0)
    expect(found(alone(6), { outages })).toBe(1)
    expect(found(alone(1))).toBe(1)
    expect(found(alone(1), { outages: [out(1_000, 4_900 - recoveryMs)] })).toBe(1)
    expect(found(alone(1), { outages: [{ ...out(4_900, 6_000), worker: 'koa#1.1' }] })).toBe(1)
  })

  test('a policy that did something else than it says while Redis is out', () => {
    const outages = [out(4_900, 6_000)]
    expect(found([admitted(5_000, { by: 'open' })], { outages })).toBe(1)
    expect(found([admitted(5_000, { route: 'upload', by: 'closed' })], { outages })).toBe(1)
  })

  test('answers that nobody has announced', () => {
    const closed = refused(5_000, 'bucket', { route: 'upload', by: 'closed', status: 503 })
    expect(found([closed], { outages: [out(4_900, 6_000)] })).toBe(0)
    expect(found([closed])).toBe(2)
    expect(found([refused(5_000, 'window', { status: 503, by: 'local' })], { outages: [out(4_900, 6_000)] })).toBe(1)
    expect(found([admitted(5_000, { status: 500 })])).toBe(1)
    expect(found([admitted(5_000, { status: 429 })])).toBe(1)
    expect(found([{ ...refused(5_000, 'fails', { route: 'login' }), status: 200 }])).toBe(1)
  })

  test('a refusal for which nothing accounts', () => {
    expect(found([...many(20, 5_000), refused(5_500, 'window')])).toBe(0)
    expect(found([...many(19, 5_000), refused(5_500, 'window')])).toBe(1)
    expect(found([...many(20, 3_000), refused(5_500, 'window')])).toBe(1)
    // Refusals do not explain one another.
    expect(found([...many(19, 5_000), refused(5_400, 'window'), refused(5_500, 'window')])).toBe(2)
    // One that was never answered may have been charged.
    const { admittedMs, status, answeredMs, via, ...unknown } = admitted(5_100)
    expect(found([...many(19, 5_000), unknown, refused(5_500, 'window')])).toBe(0)
  })
  test('of several policies that refuse: one that has to now, and none for longer than the other keeps its word', () => {
    const both = (atMs: number): Entry => ({
      ...refused(atMs, 'window', { route: 'mixed' }),
      violated: ['window', 'log'],
    })
    // The log had its 15 when the window was used up; what is said of it since is as old.
    const log = many(15, 4_000, { route: 'everyone' })
    const full = [...many(20, 4_000), ...log]
    expect(found([...full, both(4_900)])).toBe(0)
    expect(found([...full, both(5_500)])).toBe(0)
    expect(found([...full, both(6_300)])).toBe(2)
    expect(found([...many(20, 4_000), both(4_900)])).toBe(1)
    expect(found([...many(20, 9_000), ...log, both(9_100)])).toBe(1)
    expect(found([...many(20, 5_500), ...log, both(5_600)])).toBe(0)
    // By its own word alone it is too old.
    expect(found([...full, refused(5_500, 'log', { route: 'mixed' })])).toBe(1)
    // What is not judged here may be what refused.
    const login = { ...refused(5_500, 'fixed', { route: 'login' }), violated: ['fails', 'fixed'] }
    expect(found([...many(12, 4_000, { route: 'login', counted: false }), login])).toBe(0)
    expect(found([...many(11, 4_000, { route: 'login', counted: false }), login])).toBe(1)
    expect(found([...many(12, 2_000, { route: 'login', counted: false }), login])).toBe(1)
    expect(
      found([...many(12, 4_000, { route: 'stream' }), { ...login, route: 'stream', violated: ['permits', 'fixed'] }]),
    ).toBe(1)
  })
})
