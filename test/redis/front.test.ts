import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { Client } from '../hosts/harness/client.ts'
import { serverOfTests } from '../support/outside-redis.ts'
import { type RedisServer, until } from '../support/redis-server.ts'
import { redis } from './library.ts'
import { connect, freshName } from './support.ts'

let server: RedisServer
const closing: (() => unknown)[] = []

beforeAll(async () => {
  server = await serverOfTests()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
afterAll(() => server.stop())

/** One process with a door in front of it, on a connection of its own. */
async function processOn(namespace: string, version: () => number, tier?: false) {
  const connection = await connect(server.port)
  const sluice = createSluice({
    backend: redis(connection, { namespace, ...(tier === false ? { tier } : {}) }),
    limits: { all: '1000/min' },
  })
  await sluice.ready()
  const [limit, cached] = [sluice.limit('all'), sluice.cache('1m', { front: true, tags: ['all'] })]
  const listener = sluice.front((request, response) =>
    limit(request, response, () => cached(request, response, () => response.end(String(version())))),
  )
  const http: Server = createServer(listener)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
    await sluice.close()
    connection.disconnect()
  })
  const seen = { door: 0 }
  sluice.on('front', () => seen.door++)
  const { port } = http.address() as AddressInfo
  const client = new Client(port)
  closing.unshift(() => client.close())
  const ask = () => client.request('/', { headers: { host: 'cities.example' } })
  const get = async (): Promise<number> => Number((await ask()).text)
  return { sluice, seen, ask, get }
}

test('a purge that another process has resolved is seen at the door, again and again', async () => {
  const namespace = freshName()
  let version = 1
  const first = await processOn(namespace, () => version)
  const second = await processOn(namespace, () => version)
  await until(async () => (await first.get()) === 1 && first.seen.door > 0)
  for (let round = 0; round < 20; round++) {
    const before = first.seen.door
    await until(async () => (await first.get()) === version && first.seen.door > before)
    version++
    await second.sluice.purge({ tags: ['all'] })
    expect(await first.get()).toBe(version)
  }
})

test('a limit on Redis is charged at the door, once for each request of all processes', async () => {
  const namespace = freshName()
  const first = await processOn(namespace, () => 1)
  const second = await processOn(namespace, () => 1)
  for (let i = 0; i < 10; i++) for (const one of [first, second]) await one.get()
  expect(first.seen.door).toBeGreaterThan(0)
  const answer = await first.ask()
  expect(answer.header('ratelimit')).toContain('r=979;')
})

test('without the memory tier every request goes the ordinary way', async () => {
  const { seen, get } = await processOn(freshName(), () => 1, false)
  for (let i = 0; i < 8; i++) expect(await get()).toBe(1)
  expect(seen.door).toBe(0)
})
