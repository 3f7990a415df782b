import { afterEach, describe, expect, test } from '@jest/globals'
import type { RedisOptions } from '@sluice/redis'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { startStage, troubles, urlFor } from '../support/redis-troubles.ts'
import { Versions } from './versions.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function startServer(): Promise<RedisServer> {
  const server = await startRedis()
  closing.push(() => server.stop())
  return server
}

async function application(
  target: Parameters<typeof Versions.on>[0],
  options?: RedisOptions,
  readMs?: number,
): Promise<Versions> {
  const app = await Versions.on(target, options, readMs)
  closing.push(() => app.close())
  return app
}

const purge = (app: Versions) => app.sluice.purge({ tags: ['v'] })

describe('while Redis is in trouble, requests go to their handlers, in time; afterwards all is as before', () => {
  test.each(troubles)(
    '$name',
    async (trouble) => {
      const stage = await startStage()
      closing.push(() => stage.stop())
      const app = await application(urlFor(trouble, stage), { deadlines: { purge: '200ms' } })
      await app.warm()
      const end = await trouble.begin(stage)
      const replies = await app.serves(trouble.lastsMs ?? 300)
      if (trouble.leaves === 'everything') expect(app.errors).toEqual([])
      else expect(app.errors.length).toBeGreaterThan(0)
      expect(app.errors.every((error) => error.startsWith('ERR_SLUICE_STORE'))).toBe(true)
      if (trouble.leaves === 'nothing') {
        expect(replies.filter(({ hit }) => hit)).toEqual([])
        // Once it is known to be out nobody is told again for every request.
        expect(app.errors.length).toBeLessThan(40)
      }
      // What is stored still answers.
      if (trouble.leaves === 'reads') expect(replies.some(({ hit }) => hit)).toBe(true)
      app.change()
      const purged = await purge(app).then(
        () => 'purged',
        ({ code }) => code,
      )
      if (trouble.leaves === 'everything') expect(purged).toBe('purged')
      else if (trouble.leaves !== 'moments') expect(purged).toBe('ERR_SLUICE_STORE')
      await app.serves(100)
      await end()
      await app.recovered()
      await app.serves(100)
      expect((await app.get('/0')).hit).toBe(true)
    },
    40_000,
  )

  test('nobody listens when the application starts', async () => {
    const server = await startServer()
    await server.kill()
    const app = await application(server.url)
    await app.serves(300)
    expect(app.errors.length).toBeGreaterThan(0)
    expect(app.errors.every((error) => error.startsWith('ERR_SLUICE_STORE'))).toBe(true)
    await server.restart()
    await app.recovered()
  }, 30_000)

  test('frozen while something is purged: purge rejects, and nothing older is served after the thaw', async () => {
    const server = await startServer()
    const app = await application(server.url, { deadlines: { purge: '200ms' } })
    await app.warm()
    server.freeze()
    await app.get('/0')
    expect(app.errors.some((error) => error.includes('longer than 50 ms'))).toBe(true)
    app.change()
    await expect(purge(app)).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    server.thaw()
    await app.serves(1_000)
    await app.recovered()
  }, 20_000)
})

describe('whatever the client was told to do', () => {
  test('a client that queues and retries for ever does not hold requests up', async () => {
    const server = await startServer()
    const client = new Redis(server.port, {
      maxRetriesPerRequest: null,
      enableOfflineQueue: true,
      retryStrategy: () => 100,
    })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    const app = await application(client)
    await app.warm()
    await server.kill()
    await app.serves(500)
    await server.restart()
    await app.recovered()
  }, 20_000)

  test('with the memory tier: what it holds is not served while Redis is gone, and nothing stale afterwards', async () => {
    const server = await startServer()
    const app = await application(server.url, { tier: {} })
    await app.warm()
    await server.kill()
    await until(async () => !(await app.get('/0')).hit)
    await app.serves(300)
    app.change()
    await server.restart()
    await app.recovered()
    expect((await app.get('/0')).body).toBe(app.version)
  }, 20_000)

  test('close() ends at once while Redis is frozen', async () => {
    const server = await startServer()
    const app = await application(server.url, { tier: {} })
    await app.warm()
    server.freeze()
    const from = performance.now()
    await app.sluice.close()
    expect(performance.now() - from).toBeLessThan(500)
    server.thaw()
  })
})
