import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { Database, Worker } from './processes/application.ts'

let server: RedisServer
let database: Database
let workers: Worker[] = []

// A machine that runs four cold processes and everything else may take its time; what is tested here is not deadlines.
const OPTIONS = JSON.stringify({ lease: '1s', deadlines: { read: '3s', write: '3s' } })
const start = () => Worker.start({ DATABASE: database.url, REDIS: server.url, OPTIONS })

beforeAll(async () => {
  server = await startRedis()
  database = await new Database().start()
  workers = await Promise.all([1, 2, 3, 4].map(start))
}, 30_000)
afterEach(async () => {
  database.answer = async () => undefined
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  database.stop()
  await server.stop()
})

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('one fill per key across processes', () => {
  test('1,000 requests over 4 processes at once, cold: the handler runs once', async () => {
    database.answer = async () => {
      await sleep(150)
      return undefined
    }
    const replies = await Promise.all(Array.from({ length: 1_000 }, (_, i) => workers[i % 4]!.request('/items/hot')))
    expect(new Set(replies.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(['200 hot=0']))
    expect(database.reads.get('hot')).toBe(1)
  }, 20_000)

  test('the same after a purge', async () => {
    await Promise.all(workers.map((worker) => worker.request('/items/again')))
    expect((await workers[1]!.request('/items/again', 'POST')).status).toBe(200)
    const before = database.reads.get('again')!
    const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => workers[i % 4]!.request('/items/again')))
    expect(new Set(replies.map(({ body }) => body))).toEqual(new Set(['again=1']))
    expect(database.reads.get('again')! - before).toBe(1)
  })

  test('a killed owner is succeeded by one of those who wait', async () => {
    const doomed = await start()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let hang = true
    database.answer = async () => {
      if (hang) await gate
      return undefined
    }
    const lost = doomed.request('/items/orphan').catch((error: Error) => error)
    await until(() => database.reads.get('orphan') === 1)
    const waiting = [0, 1, 2, 3].map((i) => workers[i]!.request('/items/orphan'))
    await sleep(200)
    expect(database.reads.get('orphan')).toBe(1)
    hang = false
    await doomed.kill()
    expect(await lost).toHaveProperty('code', 'ECONNRESET')
    const replies = await Promise.all(waiting)
    open()
    expect(replies.map(({ body }) => body)).toEqual(Array(4).fill('orphan=0'))
    expect(Math.max(...replies.map(({ ms }) => ms))).toBeLessThan(3_000)
    expect(database.reads.get('orphan')).toBe(2)
  }, 20_000)

  test('an answer that cannot be shared sends the others to the handler side by side', async () => {
    database.answer = async () => {
      await sleep(100)
      return 'private'
    }
    const began = performance.now()
    const replies = await Promise.all(Array.from({ length: 40 }, (_, i) => workers[i % 4]!.request('/items/mine')))
    expect(replies.every(({ body }) => body === 'private')).toBe(true)
    expect(performance.now() - began).toBeLessThan(2_500)
  })
})

describe('a purge in one process', () => {
  test('that has resolved is seen by all', async () => {
    for (let round = 1; round <= 10; round++) {
      const answers = await Promise.all(workers.map((worker) => worker.request('/items/seen')))
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1)
      expect((await workers[round % 4]!.request('/items/seen', 'POST')).status).toBe(200)
      const now = await Promise.all(workers.map((worker) => worker.request('/items/seen')))
      expect(new Set(now.map(({ body }) => body))).toEqual(new Set([`seen=${round}`]))
    }
  })
})
