import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inspect, promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { Redis } from 'ioredis'
import { freePort, type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { redis } from './library.ts'

jest.setTimeout(30_000)

const closing: (() => unknown)[] = []
const warnings: { message: string; code: string; type: string }[] = []
beforeEach(() => {
  jest.spyOn(process, 'emitWarning').mockImplementation(((message: string, options: { type: string; code: string }) => {
    warnings.push({ message, ...options })
  }) as never)
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  jest.restoreAllMocks()
  warnings.length = 0
})

/** An application that listens to nothing, and the requests it gets. */
function application(target: Parameters<typeof redis>[0]) {
  const sluice = createSluice({ backend: redis(target), limits: { few: '1000/min' } })
  closing.push(() => sluice.close())
  const memo = sluice.memo(async (id: number) => id, { name: 'm', ttl: '1m' })
  let asked = 0
  return async (): Promise<void> => {
    for (let i = 0; i < 15; i++) {
      await Promise.all([memo(asked++), sluice.check('few', { key: 'k' }), sluice.check('few', { key: 'l' })])
    }
  }
}

const running = async (): Promise<RedisServer> => {
  const server = await startRedis('--maxmemory-policy', 'noeviction')
  closing.push(() => server.stop())
  return server
}
const secret = 'wr0ng-secret'

describe('nobody needs a listener to learn of trouble', () => {
  test.each<[string, string, () => Promise<Parameters<typeof redis>[0]>]>([
    ['unreachable', 'SLUICE_REDIS_UNREACHABLE', async () => `redis://:${secret}@127.0.0.1:${await freePort()}`],
    [
      'unreachable by a client that is handed over',
      'SLUICE_REDIS_UNREACHABLE',
      async () => {
        const client = new Redis({ port: await freePort(), retryStrategy: () => 50 })
        client.on('error', () => {})
        closing.push(() => client.disconnect())
        return client
      },
    ],
    [
      'a wrong password',
      'SLUICE_REDIS_PASSWORD',
      async () => {
        const { port, cli } = await running()
        await cli('CONFIG', 'SET', 'requirepass', 'right')
        return `redis://:${secret}@127.0.0.1:${port}`
      },
    ],
    [
      'a replica',
      'SLUICE_REDIS_READONLY',
      async () => {
        const { url, cli } = await running()
        await cli('REPLICAOF', '127.0.0.1', '1')
        return url
      },
    ],
    [
      'no memory left',
      'SLUICE_REDIS_OOM',
      async () => {
        const { url, cli } = await running()
        await cli('CONFIG', 'SET', 'maxmemory', '1')
        return url
      },
    ],
    [
      'scripts that cannot be loaded',
      'SLUICE_REDIS_SCRIPT',
      async () => {
        const server = await startRedis('--rename-command', 'EVAL', '', '--rename-command', 'EVALSHA', '')
        closing.push(() => server.stop())
        return server.url
      },
    ],
    [
      'a user without rights',
      'SLUICE_REDIS_PERMISSION',
      async () => {
        const { port, cli } = await running()
        await cli('ACL', 'SETUSER', 'bob', 'on', `>${secret}`, '~other', '&*', '+@all')
        return `redis://bob:${secret}@127.0.0.1:${port}`
      },
    ],
  ])('%s is warned of once, with a code: %s', async (_, code, target) => {
    const requests = application(await target())
    await requests()
    await until(() => warnings.some((warning) => warning.code === code), 8_000)
    await requests()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(warnings.filter((warning) => warning.code === code)).toHaveLength(1)
    for (const { message } of warnings) {
      expect(message).toMatch(/^sluice: /)
      expect(message).not.toContain(secret)
    }
  })

  test('nothing is warned of where nothing is the matter', async () => {
    const { url } = await running()
    const requests = application(url)
    await requests()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(warnings).toEqual([])
  })

  test('limits in the memory of several workers of a cluster: each counts for itself', async () => {
    const loader = new URL('../examples/support/run-typescript.mjs', import.meta.url).href
    const program = fileURLToPath(new URL('./processes/counting-workers.ts', import.meta.url))
    const args = ['--disable-warning=ExperimentalWarning', '--conditions=sluice-source', '--import', loader, program]
    const { stderr } = await promisify(execFile)(process.execPath, args)
    expect(stderr.match(/SLUICE_LIMITS_PER_WORKER/g)?.length).toBe(2)
  })
})

describe('no password is printed', () => {
  test.each([
    `redis//:${secret}@localhost`,
    `http://user:${secret}@localhost:6379`,
    `redis://user:${secret}@local host`,
    `redis://user:${secret}@localhost:port`,
    `redis://user:${secret}@localhost:99999`,
    `redis://user:${secret}%zz@localhost:6379`,
    `redis://user:${secret}@@localhost:6379/none`,
    `user:${secret}@localhost`,
    `redis//localhost?password=${secret}`,
  ])('in an error about %s', (url) => {
    let thrown: unknown
    try {
      createSluice({ backend: redis(url) })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'ERR_SLUICE_OPTION' })
    expect(inspect(thrown, { depth: 9 })).not.toContain(secret)
  })

  test('nor in events', async () => {
    const { port, cli } = await running()
    await cli('CONFIG', 'SET', 'requirepass', 'right')
    const sluice = createSluice({ backend: redis(`redis://:${secret}@127.0.0.1:${port}`) })
    closing.push(() => sluice.close())
    const events: unknown[] = []
    sluice.on('error', (event) => events.push(event))
    await until(() => events.length > 0)
    expect(inspect(events, { depth: 9 })).not.toContain(secret)
  })
})

test.each([
  [{ secret: 'short' }, false],
  [{ secret: 'fifteen bytes..' }, false],
  [{ secret: 'sixteen bytes...' }, true],
  [{ secret: 'ääääääää' }, true],
])('a secret is 16 bytes or more: %j', (options, fits) => {
  const make = () => createSluice(options)
  if (fits) expect(make).not.toThrow()
  else expect(make).toThrow(/`secret` must be at least 16 bytes long.*received \d+ bytes/)
  try {
    make()
  } catch (error) {
    expect(inspect(error)).not.toContain(options.secret)
  }
  const paginated = () => createSluice().paginate({ style: 'cursor', sort: ['id'], ...options })
  if (fits) expect(paginated).not.toThrow()
  else expect(paginated).toThrow(/`paginate.secret` must be at least 16 bytes long/)
})
