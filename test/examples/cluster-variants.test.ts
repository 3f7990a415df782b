import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { ask } from '../../examples/cluster/src/ask.ts'
import { findProgram } from '../../scripts/lib/redis-server.mjs'
import { startRedis, until } from '../support/redis-server.ts'
import { Cluster, running } from './support/cluster.ts'
import { hasPostgres, startPostgres } from './support/cluster-postgres.ts'
import { Program } from './support/program.ts'
import { takeCities } from './support/stored-cities.ts'

jest.setTimeout(60_000)

const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`
const hasNginx = spawnSync('nginx', ['-v'], { env: { PATH: path } }).error === undefined
const where = (installed: boolean) => (installed ? test : test.skip)

const monaco = 2993458
let directory: string
let cluster: Cluster | undefined

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cluster-variants-'))
  await takeCities(directory)
})

afterEach(async () => {
  await cluster?.end()
  cluster = undefined
})

afterAll(() => rm(directory, { recursive: true, force: true }))

/** What show.ts tells. */
async function show(base: string): Promise<string> {
  const program = new Program('cluster/src/show.ts', [base], {})
  expect([await program.end(), program.errors]).toEqual([0, ''])
  return program.output
}

/** What each process did by one of its tables. */
function table(output: string, title: RegExp): { by: number; requests: number; counted: number }[] {
  const lines = output.slice(output.search(title)).split('\n').slice(3)
  return lines
    .slice(0, lines.indexOf(''))
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([by, requests, counted]) => ({ by: by!, requests: requests!, counted: counted! }))
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)

test('on Koa, with the Redis of REDIS_URL: show.ts finds one cache and one limit, and that Redis stays', async () => {
  const redis = await startRedis('--requirepass', 'a-secret')
  const cli = (...args: string[]) => redis.cli('-a', 'a-secret', '--no-auth-warning', ...args)
  try {
    const url = redis.url.replace('//', '//:a-secret@')
    cluster = await Cluster.start('koa', { DATA_DIR: directory, REDIS_URL: url, PROCESSES: '2' })
    expect(cluster.program.output).toMatch(/2 processes of cities-api on koa behind /)
    expect(cluster.program.output).toContain(redis.url)
    expect(cluster.program.output).not.toContain('a-secret')
    expect(cluster.processes().filter(({ command }) => /^redis-server/.test(command))).toEqual([])

    const shown = await show(cluster.base)
    const pids = [...(await cluster.answering(2))].sort()
    const hits = table(shown, /300 requests/)
    const admitted = table(shown, /300 wrong passwords/)
    for (const rows of [hits, admitted]) {
      expect(rows.map(({ by }) => by).sort()).toEqual(pids)
      expect(sum(rows.map(({ requests }) => requests))).toBe(300)
    }
    // Ten pages are made once, and the first twenty requests may wait for them.
    expect(sum(hits.map(({ counted }) => counted))).toBeGreaterThanOrEqual(270)
    expect(shown).toMatch('10 of them ran a handler')
    expect(sum(admitted.map(({ counted }) => counted))).toBe(100)
    expect(shown).toMatch('admitted in all: 100')

    expect(Number(await cli('DBSIZE'))).toBeGreaterThan(10)
    expect(await cluster.program.end('SIGTERM')).toBe(0)
    expect(await cli('PING')).toBe('PONG')
  } finally {
    await redis.stop()
  }
})

where(hasPostgres)(
  'on Fastify, with the PostgreSQL of DATABASE_URL, and with Valkey where no Redis is installed',
  async () => {
    const programs = await mkdtemp(join(directory, 'programs-'))
    await symlink(findProgram('redis-server')!, join(programs, 'valkey-server'))
    const postgres = await startPostgres()
    try {
      cluster = await Cluster.start('fastify', { DATABASE_URL: postgres.url, PATH: programs, PROCESSES: '2' })
      expect(cluster.program.output).toMatch(
        /on fastify behind .* with PostgreSQL at 127\.0\.0\.1:\d+\/postgres and redis:/,
      )
      expect(cluster.program.output).not.toContain('secret')
      expect(cluster.processes().filter(({ command }) => /^valkey-server/.test(command))).toHaveLength(1)

      const answers = []
      for (let i = 0; i < 8; i++) answers.push(await ask(`${cluster.base}/cities/${monaco}`))
      expect(answers.filter(({ cacheStatus }) => /^Sluice; hit/.test(cacheStatus))).toHaveLength(7)
      expect(new Set(answers.map(({ by }) => by)).size).toBe(2)
      const change = { method: 'PATCH', json: { population: 4_321 } }
      expect((await ask(`${cluster.base}/cities/${monaco}`, change)).status).toBe(200)
      expect(postgres.query(`select population from cities_api.cities where id = ${monaco}`)).toBe('4321')

      expect(await cluster.program.end('SIGTERM')).toBe(0)
      expect(postgres.query('select count(*) from cities_api.cities')).toBe('135233')
    } finally {
      await cluster?.end()
      await postgres.stop()
    }
  },
)

where(hasNginx)(
  'behind nginx: a process that is killed is followed on its port, and kill -9 leaves nothing',
  async () => {
    const temporary = await mkdtemp(join(directory, 'temporary-'))
    cluster = await Cluster.start('express', { DATA_DIR: directory, FRONT: 'nginx', PROCESSES: '2', TMPDIR: temporary })
    expect(cluster.program.output).toMatch('2 processes of cities-api on express behind nginx, with ')
    const directories = async () => (await readdir(temporary)).filter((name) => name.startsWith('sluice-cluster-'))
    expect(await directories()).toHaveLength(1)

    const [killed, other] = await cluster.answering(2)
    process.kill(killed!, 'SIGKILL')
    const [, successor] = await cluster.program.said(new RegExp(`Process (\\d+) has taken the place of ${killed}\\.`))
    expect(await cluster.answering(2)).toEqual(new Set([other, Number(successor)]))

    const all = cluster.processes()
    expect(all.filter(({ command }) => /^nginx: /.test(command))).toHaveLength(2)
    process.kill(cluster.program.pid, 'SIGKILL')
    await until(() => !running().some(({ pid }) => all.some((one) => one.pid === pid)))
    expect(await directories()).toEqual([])
  },
)

where(hasNginx)('where nginx ends, so does the rest, with a sentence', async () => {
  cluster = await Cluster.start('express', { DATA_DIR: directory, FRONT: 'nginx', PROCESSES: '1' })
  const nginx = cluster.processes().find(({ command }) => /^nginx: master/.test(command))
  process.kill(nginx!.pid, 'SIGTERM')
  expect(await cluster.program.end()).toBe(1)
  expect(cluster.program.errors).toBe('nginx has ended, and nobody else can be asked: stopping the rest.\n')
})

describe('where a program is missing, one sentence says what to do:', () => {
  const sentence = async (env: Readonly<Record<string, string>>) => {
    const program = new Program('cluster/src/main.ts', [], { PORT: '0', DATA_DIR: directory, ...env })
    expect(await program.end()).toBe(1)
    expect(program.output).toBe('')
    return program.errors
  }

  test('Redis', async () => {
    expect(await sentence({ PATH: '/nowhere', FRONT: 'node' })).toBe(
      'Cannot start Redis (redis-server is not installed): install it (Debian: apt install redis-server), or name one with REDIS_URL.\n',
    )
  })

  where(!hasNginx)('nginx, where it is asked for', async () => {
    expect(await sentence({ FRONT: 'nginx' })).toBe(
      'nginx is not installed: install it (Debian: apt install nginx), or do without it by FRONT=node.\n',
    )
  })

  test.each([
    [{ PROCESSES: '0' }, 'PROCESSES must be a number from 1 to 64, not "0".\n'],
    [{ FRONT: 'apache' }, 'FRONT must be nginx or node, not "apache".\n'],
  ])('or wrong: %j', async (env, message) => {
    expect(await sentence(env)).toBe(message)
  })
})
