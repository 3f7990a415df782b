import { expect, test } from '@jest/globals'
import { addressList, by, type PolicyOptions } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { type AppSpec, describeHosts } from './harness/host.ts'

const minute = 60_000
const me = { key: '127.0.0.1' }
const login: PolicyOptions = {
  rate: '2/min',
  algorithm: 'fixed-window',
  ban: { after: 3, within: '10m', for: '15m', factor: 2, max: '1d', forget: '7d' },
}
const app = (policy: PolicyOptions, more: Partial<AppSpec> = {}): AppSpec => ({
  sluice: { limits: { login: policy, all: '100/h' } },
  routes: [{ path: '/login', limit: ['all', 'login'], handler: says({}) }],
  ...more,
})

describeHosts('bans', (host) => {
  test('a client that is refused again and again is shut out, for longer each time, and let in when it is over', async () => {
    const handler = counted((c) => c.send('welcome'))
    const { get, clock, sluice } = await host.boot(
      app(login, { routes: [{ path: '/login', limit: ['all', 'login'], handler }] }),
    )
    const told: string[] = []
    sluice.on('banned', ({ policy, times, byHand }) => told.push(`${policy} ${times} ${byHand}`))
    const statuses = async (count: number) => {
      const seen: number[] = []
      for (let i = 0; i < count; i++) seen.push((await get('/login')).status)
      return seen
    }
    expect(await statuses(5)).toEqual([200, 200, 429, 429, 429])
    const answer = await get('/login')
    expect([answer.status, answer.header('content-type'), answer.header('cache-control')]).toEqual([
      429,
      'application/problem+json',
      'no-store',
    ])
    expect(Number(answer.header('retry-after'))).toBeGreaterThan(895)
    expect(Number(answer.header('retry-after'))).toBeLessThanOrEqual(900)
    expect(JSON.parse(answer.text)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected',
      title: 'Request not satisfied due to detection of abnormal request pattern',
      status: 429,
      'violated-policies': ['login'],
    })
    expect(sluice.peek('all', me)).toMatchObject({ remaining: 98 })
    await clock.advance(15 * minute)
    expect(await statuses(6)).toEqual([200, 200, 429, 429, 429, 429])
    expect(Number((await get('/login')).header('retry-after'))).toBeGreaterThan(1_795)
    expect(told).toEqual(['login 1 false', 'login 2 false'])
    expect(handler.runs).toBe(4)
    expect(sluice.stats().limits).toMatchObject({ bans: 2, banDenied: 5 })
  })

  test('by hand, with a reason; lifted by its entry in the middle of it', async () => {
    const { get, sluice } = await host.boot(app({ rate: '50/min', ban: 'by-hand' }))
    expect((await get('/login')).status).toBe(200)
    await sluice.ban('login', { ...me, for: '1h', reason: 'ticket 4711' })
    const refused = await get('/login')
    expect([refused.status, refused.header('retry-after')]).toEqual([429, '3600'])
    expect(refused.text).not.toContain('4711')
    const [ban, ...more] = await sluice.bans('login')
    expect([ban, more]).toEqual([expect.objectContaining({ byHand: true, times: 1, reason: 'ticket 4711' }), []])
    expect(await sluice.unban('login', ban!)).toBe(true)
    expect((await get('/login')).status).toBe(200)
    expect(await sluice.bans()).toEqual([])
  })

  test('`respond` is told, and status and Retry-After stay', async () => {
    const respond: PolicyOptions['respond'] = ({ banned }) => (banned ? 'You are shut out.' : 'Slower, please.')
    const { get } = await host.boot(app({ ...login, respond }))
    const seen = []
    for (let i = 0; i < 5; i++) seen.push(await get('/login'))
    expect(seen.slice(2).map(({ text }) => text)).toEqual(['Slower, please.', 'Slower, please.', 'You are shut out.'])
    expect(seen[4]!.status).toBe(429)
    expect(seen[4]!.header('retry-after')).toBe('900')
  })

  test('`allow` goes before, and a ban is for its key only', async () => {
    const allow = addressList()
    const { get, sluice } = await host.boot(
      app(
        { ...login, allow },
        {
          routes: [
            { path: '/login', limit: ['login'], handler: says({}) },
            { path: '/key', limit: [{ ...login, name: 'key', key: by.header('x-key') }], handler: says({}) },
          ],
        },
      ),
    )
    await sluice.ban('login', { ...me, for: '1h' })
    expect((await get('/login')).status).toBe(429)
    allow.add('127.0.0.1')
    expect((await get('/login')).status).toBe(200)
    for (let i = 0; i < 5; i++) await get('/key', { 'x-key': 'a' })
    expect((await get('/key', { 'x-key': 'a' })).text).toContain('abnormal-usage-detected')
    expect((await get('/key', { 'x-key': 'b' })).status).toBe(200)
    expect(await sluice.unban('key', { key: 'a' })).toBe(true)
  })

  test('a shadow policy refuses nobody', async () => {
    const { get, sluice } = await host.boot(app({ ...login, shadow: true }))
    for (let i = 0; i < 8; i++) expect((await get('/login')).status).toBe(200)
    expect(sluice.stats().limits).toMatchObject({ bans: 0, banDenied: 0, denied: 0, shadowDenied: 6 })
  })
})
