import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { ask } from '../../examples/cluster/src/ask.ts'
import { until } from '../support/redis-server.ts'
import { Cluster, running } from './support/cluster.ts'

/*
 * On Express, without nginx, with the Redis and the database that it brings itself. What else there is to choose from:
 * cluster-variants.test.ts.
 */
jest.setTimeout(60_000)

const monaco = 2993458
let directory: string
let env: Record<string, string>
let cluster: Cluster

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cluster-test-'))
  env = { FRONT: 'node', PROCESSES: '3', DATA_DIR: directory, LIMIT_LOGIN: '7 per 15 minutes' }
  cluster = await Cluster.start('express', env)
})

afterAll(async () => {
  await cluster?.end()
  await rm(directory, { recursive: true, force: true })
})

test('says what stands in front', () => {
  expect(cluster.program.output).toMatch("3 processes of cities-api on express behind Node's cluster module, with ")
})

test('a miss in one process is a hit in the others', async () => {
  const answers = []
  for (let i = 0; i < 9; i++) answers.push(await ask(`${cluster.base}/cities/${monaco}`))
  expect(answers[0]?.cacheStatus).toMatch(/fwd=uri-miss; stored/)
  for (const { cacheStatus } of answers.slice(1)) expect(cacheStatus).toMatch(/^Sluice; hit/)
  expect(new Set(answers.map(({ by }) => by)).size).toBe(3)
})

test('a PATCH through one process is soon seen through all', async () => {
  const change = { method: 'PATCH', json: { population: 4_321 } }
  expect((await ask(`${cluster.base}/cities/${monaco}`, change)).status).toBe(200)
  const seen = new Set<string>()
  await until(async () => {
    const { by, body } = await ask(`${cluster.base}/cities/${monaco}`)
    if (JSON.parse(body).population === 4_321) seen.add(by)
    return seen.size === 3
  }, 5_000)
})

test('one limit admits exactly as many through all processes together', async () => {
  const json = { user: 'ada', password: 'a guess' }
  const all = Array.from({ length: 60 }, () => ask(`${cluster.base}/login`, { method: 'POST', json }))
  const answers = await Promise.all(all)
  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 401)).toHaveLength(7)
  expect(statuses.filter((status) => status === 429)).toHaveLength(53)
  expect(new Set(answers.map(({ by }) => by)).size).toBe(3)
})

test('a process that is killed is followed by another one, which finds the cache and the limits as they were', async () => {
  const [killed, ...others] = await cluster.answering(3)
  process.kill(killed!, 'SIGKILL')
  await cluster.program.said(
    new RegExp(`Process ${killed} has ended \\(SIGKILL\\)\\. Another one starts in 0\\.1 s\\.`),
  )
  const [, successor] = await cluster.program.said(new RegExp(`Process (\\d+) has taken the place of ${killed}\\.`))
  expect(await cluster.answering(3)).toEqual(new Set([...others, Number(successor)]))
  const json = { user: 'ada', password: 'a guess' }
  await until(async () => {
    const { cacheStatus, by } = await ask(`${cluster.base}/cities/${monaco}`)
    expect(cacheStatus).toMatch(/^Sluice; hit/)
    expect((await ask(`${cluster.base}/login`, { method: 'POST', json })).status).toBe(429)
    return by === successor
  })
})

test('SIGTERM ends all that was started, in order', async () => {
  const all = cluster.processes()
  expect(all.filter(({ command }) => /\bworker\.[tj]s/.test(command))).toHaveLength(3)
  expect(all.filter(({ command }) => /^redis-server/.test(command))).toHaveLength(1)
  expect(await cluster.program.end('SIGTERM')).toBe(0)
  expect(left(all)).toEqual([])
  expect(cluster.program.errors).toBe('')
})

test('kill -9 ends all that was started, and leaves nothing in the way of the next start', async () => {
  await cluster.end()
  cluster = await Cluster.start('express', env)
  const all = cluster.processes()
  expect(all.length).toBeGreaterThanOrEqual(5)
  process.kill(cluster.program.pid, 'SIGKILL')
  await until(() => left(all).length === 0)
  cluster = await Cluster.start('express', { ...env, PORT: new URL(cluster.base).port })
  expect((await ask(`${cluster.base}/cities/${monaco}`)).status).toBe(200)
})

function left(all: readonly { pid: number }[]) {
  return running().filter(({ pid }) => all.some((one) => one.pid === pid))
}
