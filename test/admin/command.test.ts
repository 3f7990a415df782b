import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { admin, bearer } from '@sluice/admin'
import { type AuditEvent, createSluice, type NodeSluice, type ResponseControl } from '@sluice/node'
import { redis } from '@sluice/redis'
import { runCommand } from '../../packages/admin/src/command/command.ts'
import { diagnose, findingsText } from '../../packages/admin/src/command/doctor.ts'
import { usages } from '../../packages/admin/src/command/usage.ts'
import { ROOT } from '../../scripts/lib/say.mjs'
import { freePort, type RedisServer, startCluster, startRedis } from '../support/redis-server.ts'

// Each process compiles what it runs, and the machine may be busy.
jest.setTimeout(60_000)

const token = 'correct-horse-battery'

interface Served {
  readonly sluice: NodeSluice
  readonly url: string
  readonly door: string
  readonly audits: AuditEvent[]
  cache(path: string): Promise<string>
  close(): Promise<void>
}

async function serve(options: Parameters<typeof createSluice>[0] = {}): Promise<Served> {
  const sluice = createSluice({
    ...options,
    limits: { search: '5/h', two: '3/h; 9/day', login: { rate: '5/h', ban: 'by-hand' } },
  })
  const audits: AuditEvent[] = []
  sluice.on('audit', (event) => audits.push(event))
  const cached = sluice.cache('1h', { tags: ['all'] })
  const door = admin(sluice, { authorize: bearer(token, 'robot'), path: '/ops' })
  const server: Server = createServer((req, res) => {
    door(req, res, () =>
      cached(req, res, () => {
        ;(res as unknown as { sluice: ResponseControl }).sluice.tag(`path:${req.url}`)
        res.end('page')
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    sluice,
    url,
    door: `${url}/ops`,
    audits,
    async cache(path) {
      const status = (await fetch(url + path)).headers.get('cache-status') ?? ''
      return /; hit/.test(status) ? 'hit' : 'miss'
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await sluice.close()
    },
  }
}

function start(env: Record<string, string>, ...args: string[]) {
  const hooks = join(ROOT, 'test/examples/support/run-typescript.mjs')
  const cli = join(ROOT, 'packages/admin/src/cli.ts')
  const child = spawn(process.execPath, ['--import', hooks, '--conditions=sluice-source', cli, ...args], {
    env: { ...process.env, ...env },
  })
  const said = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (said.error += text))
  return { child, said, ended: once(child, 'close').then(([code]) => ({ code, ...said })) }
}

/** The same without a process. */
async function command(env: Record<string, string>, ...args: string[]) {
  const said = { out: '', error: '' }
  const into = (name: 'out' | 'error') => ({ write: (text: string) => (said[name] += text) })
  const code = await runCommand(args, { out: into('out'), error: into('error') }, undefined, env)
  return { code, ...said }
}

let app: Served
let env: Record<string, string>
beforeAll(async () => {
  app = await serve()
  env = { SLUICE_ADMIN_URL: app.door, SLUICE_ADMIN_TOKEN: token }
})
afterAll(() => app.close())

describe('sluice, as a process of its own', () => {
  test('purges through the door and ends with 0', async () => {
    expect([await app.cache('/p'), await app.cache('/p')]).toEqual(['miss', 'hit'])
    const ended = await start(env, 'purge', '/p', '--tag', 'none').ended
    expect(ended).toEqual({ code: 0, out: 'Purged: /p, tag none\n', error: '' })
    expect(await app.cache('/p')).toBe('miss')
    expect(app.audits.at(-1)).toMatchObject({ who: 'robot', action: 'purge', what: ['tag:none', 'url:/p'], count: 2 })
  })

  test('ends with 1 where the door is shut, and with 2 where it was used wrongly', async () => {
    const [shut, wrong] = await Promise.all([
      start({ ...env, SLUICE_ADMIN_TOKEN: 'wrong' }, 'stats').ended,
      start(env, 'purge', '--everything').ended,
    ])
    expect([shut.code, shut.out]).toEqual([1, ''])
    expect(shut.error).toMatch(/^sluice: http.*\/ops: 403 Not for you\. /)
    expect([wrong.code, wrong.out]).toEqual([2, ''])
    expect(wrong.error).toMatch(/^sluice: Unknown option '--everything'[\s\S]*Usage: sluice purge/)
  })

  test('stats --watch goes on until Ctrl-C, and ends with 0', async () => {
    const { child, said, ended } = start(env, 'stats', '--watch', '--interval', '10ms')
    while (!said.out.includes('since the last look')) await once(child.stdout, 'data')
    child.kill('SIGINT')
    const { code, error } = await ended
    expect([code, error]).toEqual([0, ''])
    expect(said.out).toMatch(/^hit rate +\S+ % of \d+$/m)
    expect(said.out).not.toContain('\x1b')
  })
})

describe('sluice, through the door', () => {
  test('purge: soft, by route, everything, as JSON', async () => {
    expect((await command(env, 'purge', '--tag', 'all', '--soft')).out).toBe('Expired: tag all\n')
    expect((await command(env, 'purge', '--route', '/a/:id')).out).toBe('Purged: route /a/:id\n')
    const { code, out } = await command(env, 'purge', '--all', '--yes', '--json')
    expect([code, JSON.parse(out)]).toEqual([0, { status: 'ok', mode: 'purge', count: 1, what: ['everything'] }])
  })

  test('why', async () => {
    await app.cache('/why')
    const { code, out } = await command(env, 'why', '/why')
    expect([code, out]).toEqual([0, expect.stringMatching(/^route {2,}GET \/why\nstored {2,}yes\n/)])
    expect(out).toMatch(/^held now +200, 4 bytes, identity, fresh for 3600 s\n/m)
    expect((await command(env, 'why', '/never')).out).toMatch(/not known[\s\S]*held now +nothing/)
    expect(JSON.parse((await command(env, 'why', '/why', '--json')).out)).toMatchObject({ stored: true })
  })

  test('stats', async () => {
    const { code, out } = await command(env, 'stats')
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^process +\d+, Node [\s\S]*^ {2}search +\d+ allowed, 0 denied$/m),
    ])
    expect(JSON.parse((await command(env, 'stats', '--json')).out).cache.hits).toEqual(expect.any(Number))
  })

  test('limits and bans', async () => {
    await app.sluice.check('search', { key: '192.0.2.1', cost: 5 })
    const peek = await command(env, 'limits', 'peek', 'search', '192.0.2.1')
    expect([peek.code, peek.out]).toEqual([0, expect.stringMatching(/left +0 of 5\n[\s\S]*refused for +\d+ s\n$/)])
    expect((await command(env, 'limits', 'reset', 'search', '192.0.2.1')).out).toBe('Reset search: 192.0.2.1\n')
    expect((await command(env, 'limits', 'peek', 'search', '192.0.2.1', '--json')).out).toContain('"remaining":5')
    expect((await command(env, 'limits', 'reset', 'two')).out).toBe('Reset two: 0 keys\n')
    expect((await command(env, 'bans')).out).toBe('Nobody is shut out.\n')
    await app.sluice.ban('login', { key: '192.0.2.9', for: '1h', reason: 'spam' })
    expect((await command(env, 'bans', 'login')).out).toMatch(/^login \S+ {2}until .*, spam\n$/)
    expect((await command(env, 'bans', 'lift', 'login', '192.0.2.9')).out).toBe('Lifted.\n')
    const made = await command(env, 'bans', 'add', 'login', '192.0.2.8', '--for', '1h', '--reason', 'ticket 4711')
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^Shut out until \d{4}-/)])
    expect(await app.sluice.bans('login')).toEqual([expect.objectContaining({ reason: 'ticket 4711', byHand: true })])
    await command(env, 'bans', 'lift', 'login', '192.0.2.8')
    expect((await command(env, 'bans', 'add', 'login', '192.0.2.8')).code).toBe(2)
  })

  test('doctor', async () => {
    const { code, out } = await command(env, 'doctor')
    expect(code).toBe(0)
    expect(out).toMatch(/^ok +Node here +\d+\.\d+/)
    expect(out).toMatch(/Verdict: /)
    const findings = JSON.parse((await command(env, 'doctor', '--json')).out)
    expect(findings.healthy).toBe(true)
  })

  test('warm is what it was', async () => {
    const { code, out } = await command({}, 'warm', app.url, '/warm', '--quiet')
    expect([code, out]).toEqual([0, '1 of 1: 1 stored, 0 there already\n'])
    expect((await command({}, 'warm', '--help')).out).toMatch(/^Usage: sluice warm/)
  })

  test.each([
    ['no command', [], 'a command is missing'],
    ['another', ['purg'], 'Did you mean `purge`?'],
    ['nothing to purge', ['purge'], 'nothing is named'],
    ['everything by a slip', ['purge', '--all'], 'add --yes'],
    ['everything and more', ['purge', '--all', '--yes', '/a'], 'stands alone'],
    ['why without a URL', ['why'], 'which?'],
    ['limits without a verb', ['limits'], '`limits peek` or `limits reset`?'],
    ['limits without a policy', ['limits', 'reset'], 'the policy is missing'],
    ['a peek without a key', ['limits', 'peek', 'search'], 'whose?'],
    ['bans without a key', ['bans', 'lift', 'login'], 'whom?'],
    ['no duration', ['stats', '--timeout', 'soon'], '--timeout'],
    ['no time', ['stats', '--interval', '0s'], 'longer than 0'],
    ['no URL', ['stats', '--url', 'ops'], 'must be an http(s) URL'],
    ['a direct command that there is not', ['stats', '--redis', 'redis://h'], "Unknown option '--redis'"],
    ['a Redis that is none', ['purge', '/a', '--redis', 'h'], 'redis(url)'],
    ['lanes that are none', ['purge', '/a', '--redis', 'redis://h', '--lanes', 'x'], '--lanes'],
    ['a direct peek without a rate', ['limits', 'peek', 'a', 'b', '--redis', 'redis://h'], '--rate'],
  ])('%s ends with 2', async (_what, args, message) => {
    const { code, out, error } = await command(env, ...args)
    expect([code, out]).toEqual([2, ''])
    expect(error).toContain(message)
    expect(error).toContain('Usage: sluice')
  })

  test('no door at all ends with 2, one that does not answer with 1', async () => {
    expect(await command({}, 'stats')).toMatchObject({ code: 2, error: expect.stringContaining('which door?') })
    const nowhere = `http://127.0.0.1:${await freePort()}/ops`
    const nobody = await command({ SLUICE_ADMIN_URL: nowhere }, 'stats')
    expect(nobody).toMatchObject({ code: 1, error: `sluice: ${nowhere} does not answer: ECONNREFUSED\n` })
    const beside = await command({ ...env, SLUICE_ADMIN_URL: `${app.url}/elsewhere` }, 'stats')
    expect(beside).toMatchObject({ code: 1, error: expect.stringContaining('Is that its path?') })
    const unknown = await command(env, 'limits', 'reset', 'serach')
    expect(unknown).toMatchObject({ code: 1, error: expect.stringContaining('400') })
  })

  test.each(Object.keys(usages))('%s --help has an example', async (name) => {
    const { code, out } = await command({}, name, '--help')
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(new RegExp(`^Usage: sluice ${name}[\\s\\S]*Example: sluice ${name}`)),
    ])
  })

  test('--help names every command', async () => {
    const { code, out } = await command({}, '--help')
    expect(code).toBe(0)
    for (const name of [...Object.keys(usages), 'warm']) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'))
  })
})

describe('sluice, straight on Redis', () => {
  let server: RedisServer
  let shared: Served
  let direct: string[]
  const secret = 'a secret of thirty-two characters'
  beforeAll(async () => {
    server = await startRedis('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru')
    shared = await serve({ backend: redis(server.url, { namespace: 'shop' }), secret })
    await shared.sluice.ready()
    direct = ['--redis', server.url, '--namespace', 'shop']
  })
  afterAll(async () => {
    await shared.close()
    await server.stop()
  })

  test('purge is heard by every process', async () => {
    for (const path of ['/a', '/b', '/c']) {
      expect([await shared.cache(path), await shared.cache(path)]).toEqual(['miss', 'hit'])
    }
    const ended = await start({}, 'purge', '/a', '--tag', 'path:/b', ...direct).ended
    expect(ended).toEqual({ code: 0, out: 'Purged: /a, tag path:/b\n', error: '' })
    expect([await shared.cache('/a'), await shared.cache('/b'), await shared.cache('/c')]).toEqual([
      'miss',
      'miss',
      'hit',
    ])
    expect((await command({}, 'purge', '--all', '--yes', '--redis', server.url, '--namespace', 'other')).code).toBe(0)
    expect(await shared.cache('/c')).toBe('hit')
    expect((await command({}, 'purge', '--all', '--yes', ...direct)).code).toBe(0)
    expect(await shared.cache('/c')).toBe('miss')
  })

  test('limits: a key, whatever its rates, and a whole policy', async () => {
    const own = { SLUICE_SECRET: secret }
    for (const key of ['192.0.2.1', '192.0.2.2']) {
      for (const policy of ['search', 'two']) await shared.sluice.check(policy, { key, cost: 3 })
    }
    const left = async (policy: string, key: string) => (await shared.sluice.peek(policy, { key })).remaining
    const peek = await command(own, 'limits', 'peek', 'search', '192.0.2.1', '--rate', '5/h', '--json', ...direct)
    expect(JSON.parse(peek.out)).toMatchObject({ limit: 5, remaining: 2 })
    expect((await command(own, 'limits', 'reset', 'two', '192.0.2.1', ...direct)).code).toBe(0)
    expect([await left('two', '192.0.2.1'), await left('two', '192.0.2.2')]).toEqual([3, 0])
    expect(await left('search', '192.0.2.1')).toBe(2)
    expect((await command(own, 'limits', 'reset', 'search', ...direct)).out).toBe('Reset search: 2 keys\n')
    expect([await left('search', '192.0.2.1'), await left('search', '192.0.2.2')]).toEqual([5, 5])
  })

  test('on a Cluster too', async () => {
    const cluster = await startCluster(3)
    try {
      const url = `redis://127.0.0.1:${cluster.nodes[0]!.port}`
      const there = await serve({ backend: redis(url, { namespace: 'shop', cluster: true }), secret })
      await there.sluice.ready()
      expect([await there.cache('/a'), await there.cache('/a')]).toEqual(['miss', 'hit'])
      const onCluster = ['--redis', url, '--namespace', 'shop', '--cluster']
      expect(await command({}, 'purge', '/a', ...onCluster)).toEqual({ code: 0, out: 'Purged: /a\n', error: '' })
      expect(await there.cache('/a')).toBe('miss')
      await there.sluice.check('search', { key: '192.0.2.1' })
      const own = { SLUICE_SECRET: secret }
      const peek = await command(own, 'limits', 'peek', 'search', '192.0.2.1', '--rate', '5/h', '--json', ...onCluster)
      expect(JSON.parse(peek.out)).toMatchObject({ remaining: 4 })
      await there.close()
    } finally {
      await cluster.stop()
    }
  })

  test('doctor, direct and through the door', async () => {
    const here = await start({}, 'doctor', '--redis', server.url).ended
    expect([here.code, here.error]).toEqual([0, ''])
    expect(here.out).toMatch(/^ok +version +\S+ \d+\.\d+/m)
    expect(here.out).toMatch(/^ok +eviction +allkeys-lru/m)
    expect(here.out).toMatch(/^ok +clock +\d+ ms/m)
    const there = await command({ SLUICE_ADMIN_URL: shared.door, SLUICE_ADMIN_TOKEN: token }, 'doctor')
    expect(there.out).toMatch(/^ok +secret +set/m)
    expect(there.out).toMatch(/^ok +memory +\S+ MB of 100\.0 MB used/m)
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1mb')
    const full = await command({}, 'doctor', ...direct)
    expect([full.code, full.out]).toEqual([
      1,
      expect.stringMatching(/^bad +eviction.*\n +→ CONFIG SET maxmemory-policy/m),
    ])
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '100mb')
  })

  test('no Redis there ends with 1, and says so', async () => {
    const gone = await command({}, 'purge', '/a', '--redis', 'redis://127.0.0.1:1', '--timeout', '200ms')
    expect(gone).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^sluice: Redis did not get ready within 200 ms/),
    })
    const sick = await command({}, 'doctor', '--redis', 'redis://127.0.0.1:1', '--timeout', '200ms')
    expect([sick.code, sick.out]).toEqual([1, expect.stringMatching(/^bad +Redis/m)])
  })

  test('a purge that a shared store does not confirm is 503 at the door, and in the audit', async () => {
    const own = await startRedis()
    const lonely = await serve({ backend: redis(own.url, { deadlines: { purge: '200ms' } }), secret })
    try {
      await lonely.sluice.ready()
      lonely.sluice.on('error', () => {})
      await own.kill()
      const out = await command({ SLUICE_ADMIN_URL: lonely.door, SLUICE_ADMIN_TOKEN: token }, 'purge', '/a')
      expect(out).toMatchObject({ code: 1, error: expect.stringContaining('503 The store has not confirmed it') })
      expect(lonely.audits).toMatchObject([{ action: 'purge', count: 0, error: { code: 'ERR_SLUICE_STORE' } }])
    } finally {
      await lonely.close()
      await own.stop()
    }
  })
})

describe('the doctor judges', () => {
  const server = {
    product: 'Redis',
    version: '7.2.0',
    mode: 'standalone',
    role: 'master',
    maxMemoryBytes: 2 ** 30,
    usedMemoryBytes: 2 ** 20,
    evictionPolicy: 'allkeys-lru',
    evictedKeys: 0,
    persistence: [],
    clockAheadMs: 3,
    roundTripMs: 0.4,
  } as const
  const facts = { nodes: { here: '22.1.0' }, backend: 'redis', hasSecret: true, server }
  const verdict = (check: string, over: object) =>
    diagnose({ ...facts, ...over }).find((finding) => finding.check === check)?.verdict

  test.each([
    ['Node here', { nodes: { here: '20.18.9' } }, 'bad'],
    ['Node here', { nodes: { here: '20.19.0' } }, 'ok'],
    ['version', { server: { ...server, version: '6.0.16' } }, 'bad'],
    ['version', { server: { ...server, version: '6.2.1' } }, 'warn'],
    ['role', { server: { ...server, role: 'replica' } }, 'bad'],
    ['memory', { server: { ...server, maxMemoryBytes: 0 } }, 'warn'],
    ['eviction', { server: { ...server, evictionPolicy: 'noeviction' } }, 'warn'],
    ['eviction', { server: { ...server, evictionPolicy: 'noeviction', usedMemoryBytes: 2 ** 30 } }, 'bad'],
    ['clock', { server: { ...server, clockAheadMs: -5_000 } }, 'warn'],
    ['clock', { server: { ...server, clockAheadMs: 90_000 } }, 'bad'],
    ['round trip', { server: { ...server, roundTripMs: 80 } }, 'bad'],
    ['Redis', { server: { error: 'gone' } }, 'bad'],
    ['secret', { hasSecret: false }, 'warn'],
    ['secret', { hasSecret: false, backend: 'memory' }, 'ok'],
    ['trust proxy', {}, 'unknown'],
    ['trust proxy', { client: { proxied: true, isBelieved: false, isLoopback: true } }, 'warn'],
    ['trust proxy', { client: { proxied: true, isBelieved: true, isLoopback: true } }, 'ok'],
    ['NODE_ENV', { env: 'development', client: { proxied: false, isBelieved: false, isLoopback: false } }, 'warn'],
  ])('%s of %j: %s', (check, over, expected) => {
    expect(verdict(check, over)).toBe(expected)
  })

  test('whatever is not in order comes with a remedy', () => {
    const sick = {
      ...server,
      version: '6.0.0',
      role: 'replica',
      maxMemoryBytes: 0,
      evictionPolicy: 'noeviction',
      roundTripMs: 80,
    }
    const findings = diagnose({ nodes: { here: '18.0.0' }, backend: 'redis', hasSecret: false, server: sick })
    for (const { verdict: judged, remedy } of findings)
      expect(['bad', 'warn'].includes(judged)).toBe(remedy !== undefined)
    expect(findingsText(findings)).toMatch(/Verdict: 4 to mend, 3 warned of\.\n$/)
    expect(findingsText(diagnose(facts))).toMatch(/Verdict: nothing is wrong\.\n$/)
  })
})
