import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { startRedis, until } from '../support/redis-server.ts'
import { redis } from './library.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Does not let the event loop go on. */
function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

async function application(options: RedisOptions = {}) {
  const server = await startRedis()
  closing.push(() => server.stop())
  const sluice = createSluice({ backend: redis(server.url, { tier: false, ...options }), limits: { few: '100/min' } })
  closing.push(() => sluice.close())
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(error.message))
  sluice.on('store-error', ({ error }) => errors.push(String(error)))
  await sluice.ready()
  let loads = 0
  const memo = sluice.memo(async (id: number) => ++loads && id, { name: 'm', ttl: '1m' })
  await memo(1)
  await until(async () => Number(await server.cli('DBSIZE')) > 2)
  loads = 0
  return { server, sluice, errors, memo, loads: () => loads }
}

describe('an event loop that is late is not an outage', () => {
  test.each([150, 600, 2_500])(
    'blocked for %i ms: the answers that arrived meanwhile are used',
    async (ms) => {
      const { sluice, errors, memo, loads } = await application()
      for (let round = 0; round < 6; round++) {
        const asked = [memo(1), sluice.check('few', { key: 'k' }), sluice.purge({ tags: ['other'] })] as const
        // Once before anything was sent, once while the answers lie in the socket.
        if (round % 2) await new Promise((resolve) => setImmediate(resolve))
        block(ms / (1 + round))
        const [value, { remaining }] = await Promise.all(asked)
        expect(value).toBe(1)
        expect(remaining).toBe(99 - round)
      }
      expect(loads()).toBe(0)
      expect(errors).toEqual([])
    },
    30_000,
  )

  test('busy all the time: every turn takes longer than a tenth of the deadline', async () => {
    const { sluice, errors, memo, loads } = await application()
    let busy = true
    const work = (): void => {
      block(40)
      if (busy) setImmediate(work)
    }
    work()
    try {
      for (let i = 0; i < 10; i++) {
        const [value, { remaining }] = await Promise.all([memo(1), sluice.check('few', { key: 'k' })])
        expect([value, remaining]).toEqual([1, 99 - i])
      }
    } finally {
      busy = false
    }
    expect([loads(), errors]).toEqual([0, []])
  }, 30_000)

  test('what is counted are turns in which the answer could have been read: a Redis that is frozen is still noticed', async () => {
    const { server, sluice, errors } = await application({ deadlines: { limit: '100ms' } })
    server.freeze()
    closing.push(() => server.thaw())
    const from = performance.now()
    const answer = sluice.check('few', { key: 'k' })
    block(300)
    expect(await answer).toMatchObject({ allowed: true })
    expect(performance.now() - from).toBeGreaterThan(350)
    expect(performance.now() - from).toBeLessThan(700)
    expect(errors).toHaveLength(1)
  })
})
