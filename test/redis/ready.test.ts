import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice, type SluiceOptions } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { Cluster, Redis } from 'ioredis'
import { type RedisServer, startCluster, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { redis } from './library.ts'
import { freshName } from './support.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function server(...settings: string[]): Promise<RedisServer> {
  const started = await startRedis(...settings)
  closing.push(() => started.stop())
  return started
}

function sluiceOn(target: Parameters<typeof redis>[0], options: RedisOptions = {}, over: SluiceOptions = {}) {
  const sluice = createSluice({ backend: redis(target, options), limits: { few: '10/min' }, ...over })
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(error.message))
  sluice.on('store-error', ({ error }) => errors.push(String(error)))
  closing.push(() => sluice.close())
  return { sluice, errors }
}

const admitted = async (sluice: ReturnType<typeof sluiceOn>['sluice'], count: number) => {
  const answers = await Promise.all(Array.from({ length: count }, () => sluice.check('few', { key: 'k' })))
  return answers.filter(({ allowed }) => allowed).length
}

describe('what is asked before there is a connection waits for it', () => {
  test('limits count from the first call on, and nobody is told of trouble', async () => {
    const { url } = await server()
    const { sluice, errors } = sluiceOn(url)
    expect(await admitted(sluice, 200)).toBe(10)
    expect(errors).toEqual([])
  })

  test('four processes that start together admit one limit', async () => {
    const { url } = await server()
    const loader = new URL('../examples/support/run-typescript.mjs', import.meta.url).href
    const program = fileURLToPath(new URL('./processes/boot.ts', import.meta.url))
    const args = ['--no-warnings', '--conditions=sluice-source', '--import', loader, program, url, freshName(), '500']
    const outputs = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const child = promisify(execFile)(process.execPath, [...args, '300'])
        const { stdout } = await child
        return JSON.parse(stdout) as { admitted: number; errors: string[] }
      }),
    )
    expect(outputs.flatMap(({ errors }) => errors)).toEqual([])
    expect(outputs.reduce((sum, one) => sum + one.admitted, 0)).toBe(300)
  }, 60_000)

  test('look-ups, stores and purges too', async () => {
    const { url } = await server()
    const namespace = freshName()
    const load = async (id: number) => `value ${id}`
    const first = sluiceOn(url, { namespace, deadlines: { read: '1s', write: '1s' } })
    expect(await first.sluice.memo(load, { name: 'm', ttl: '1m' })(1)).toBe('value 1')
    // Stored by the first call of the first process, and found by the first call of the second.
    await until(async () => Number(await (await connected(url)).dbsize()) > 0)
    let loads = 0
    const second = sluiceOn(url, { namespace, deadlines: { read: '1s' } })
    const memo = second.sluice.memo(async (id: number) => `${++loads} ${id}`, { name: 'm', ttl: '1m' })
    expect(await memo(1)).toBe('value 1')
    const third = sluiceOn(url, { namespace })
    await third.sluice.purge({ all: true })
    expect([...first.errors, ...second.errors, ...third.errors]).toEqual([])
  })

  test('and no longer than its deadline', async () => {
    const { url, kill } = await server()
    await kill()
    const { sluice, errors } = sluiceOn(url)
    const from = performance.now()
    // Local counts take over.
    expect(await admitted(sluice, 20)).toBe(10)
    expect(performance.now() - from).toBeLessThan(1_500)
    await until(() => errors.length > 0)
  })

  test('a client made with lazyConnect is connected by the first call, or by whoever is faster', async () => {
    const { port } = await server()
    const [idle, quick] = [1, 2].map(() => new Redis(port, { lazyConnect: true }))
    closing.push(
      () => idle!.disconnect(),
      () => quick!.disconnect(),
    )
    const first = sluiceOn(idle!)
    expect(idle!.status).toBe('wait')
    expect(await admitted(first.sluice, 50)).toBe(10)
    const second = sluiceOn(quick!, { namespace: freshName() })
    // The application's own call must not find that somebody else has done so already.
    await quick!.connect()
    expect(await admitted(second.sluice, 50)).toBe(10)
    expect([...first.errors, ...second.errors]).toEqual([])
  })

  test('during a reconnect as well', async () => {
    const { port } = await server()
    const proxy = await new TcpProxy(port).start()
    closing.push(() => proxy.stop())
    const { sluice } = sluiceOn(`redis://127.0.0.1:${proxy.port}`, { deadlines: { limit: '2s' } })
    expect(await admitted(sluice, 5)).toBe(5)
    proxy.cut()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await admitted(sluice, 50)).toBe(5)
  })
})

describe('ready()', () => {
  test('resolves at once in memory', async () => {
    const sluice = createSluice()
    await sluice.ready()
    await sluice.close()
    await expect(sluice.ready()).rejects.toMatchObject({ code: 'ERR_SLUICE_CLOSED' })
  })

  test('resolves when scripts are loaded: none has to be sent again', async () => {
    const one = await server()
    const { sluice } = sluiceOn(one.url)
    await sluice.ready()
    await one.resetStats()
    expect(await admitted(sluice, 20)).toBe(10)
    await sluice.memo(async (id: number) => id, { name: 'm', ttl: '1m' })(1)
    await sluice.purge({ all: true })
    const { eval: sent, evalsha } = await one.calls()
    expect(sent).toBeUndefined()
    expect(evalsha).toBeGreaterThan(0)
  })

  test('connects a client that waits to be, and takes a Cluster', async () => {
    const { port } = await server()
    const idle = new Redis(port, { lazyConnect: true })
    closing.push(() => idle.disconnect())
    await sluiceOn(idle).sluice.ready({ timeout: '5s' })
    const cluster = await startCluster(3)
    closing.push(() => cluster.stop())
    const client = new Cluster(cluster.nodes.map((node) => ({ host: '127.0.0.1', port: node.port })))
    closing.push(() => client.disconnect())
    await sluiceOn(client).sluice.ready({ timeout: '5s' })
  }, 30_000)

  test('waits for a server that starts later', async () => {
    const one = await server()
    await one.kill()
    const { sluice } = sluiceOn(one.url)
    const ready = sluice.ready({ timeout: '10s' })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await one.restart()
    await ready
    expect(await admitted(sluice, 20)).toBe(10)
  }, 20_000)

  const plain = (one: RedisServer) => one.url
  const withPassword = (user: string) => (one: RedisServer) => `redis://${user}:wr0ng-secret@127.0.0.1:${one.port}`
  const noScripts = ['SETUSER', 'bob', 'on', '>wr0ng-secret', '~*', '&*', '+@all', '-eval', '-evalsha', '-script']
  const set = (name: string, value: string) => (one: RedisServer) => one.cli('CONFIG', 'SET', name, value)

  test.each([
    ['unreachable', (one: RedisServer) => one.kill(), plain, /cannot be reached.*ECONNREFUSED/],
    ['frozen', (one: RedisServer) => one.freeze(), plain, /cannot be reached, or does not answer/],
    ['a wrong password', set('requirepass', 'right'), withPassword(''), /does not accept the user or the password/],
    ['no password', set('requirepass', 'right'), plain, /does not accept the user or the password/],
    ['a replica', (one: RedisServer) => one.cli('REPLICAOF', '127.0.0.1', '1'), plain, /takes no writes.*READONLY/],
    ['no memory left', set('maxmemory', '1'), plain, /out of memory.*OOM/],
    ['no right to run scripts', (one: RedisServer) => one.cli('ACL', ...noScripts), withPassword('bob'), /not allowed/],
  ])('rejects with what is the matter: %s', async (_, prepare, urlOf, why) => {
    const one = await server()
    closing.push(() => one.thaw())
    await prepare(one)
    const { sluice } = sluiceOn(urlOf(one))
    const error = await sluice.ready({ timeout: '1s' }).then(
      () => undefined,
      (thrown) => thrown,
    )
    expect(error).toMatchObject({ code: 'ERR_SLUICE_STORE' })
    expect(error.message).toMatch(why)
    expect(`${error.message} ${JSON.stringify(error.cause)} ${String(error.stack)}`).not.toContain('wr0ng-secret')
  })

  test('its timeout is checked', async () => {
    const { sluice } = sluiceOn((await server()).url)
    await expect(sluice.ready({ timeout: 'soon' as never })).rejects.toMatchObject({ code: 'ERR_SLUICE_UNIT' })
    await expect(sluice.ready({ within: 1 } as never)).rejects.toMatchObject({ code: 'ERR_SLUICE_OPTION' })
  })
})

async function connected(url: string): Promise<Redis> {
  const client = new Redis(url)
  closing.push(() => client.disconnect())
  return client
}
