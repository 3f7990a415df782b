import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { ask } from '../../examples/cluster/src/ask.ts'
import { Program } from './support/program.ts'

jest.setTimeout(120_000)

const monaco = 2993458
let directory: string
let program: Program
let base: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cluster-test-'))
  const env = { PORT: '0', PROCESSES: '3', DATA_DIR: directory, LIMIT_LOGIN: '7 per 15 minutes' }
  program = new Program('cluster/src/main.ts', ['express'], env)
  base = (await program.said(/listen on (\S+)\n[\s\S]*Ctrl-C/))[1]!
})

afterAll(async () => {
  await program.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

test('a miss in one process is a hit in the others', async () => {
  const answers = []
  for (let i = 0; i < 9; i++) answers.push(await ask(`${base}/cities/${monaco}`))
  expect(answers[0]?.cacheStatus).toMatch(/fwd=uri-miss; stored/)
  for (const { cacheStatus } of answers.slice(1)) expect(cacheStatus).toMatch(/^Sluice; hit/)
  expect(new Set(answers.map(({ by }) => by)).size).toBe(3)
})

test('a PATCH through one process is soon seen through all', async () => {
  const change = { method: 'PATCH', json: { population: 4_321 } }
  expect((await ask(`${base}/cities/${monaco}`, change)).status).toBe(200)
  const seen = new Set<string>()
  const deadline = Date.now() + 5_000
  while (seen.size < 3 && Date.now() < deadline) {
    const { by, body } = await ask(`${base}/cities/${monaco}`)
    if (JSON.parse(body).population === 4_321) seen.add(by)
  }
  expect(seen.size).toBe(3)
})

test('one limit admits exactly as many through all processes together', async () => {
  const json = { user: 'ada', password: 'a guess' }
  const all = Array.from({ length: 60 }, () => ask(`${base}/login`, { method: 'POST', json }))
  const answers = await Promise.all(all)
  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 401)).toHaveLength(7)
  expect(statuses.filter((status) => status === 429)).toHaveLength(53)
  expect(new Set(answers.map(({ by }) => by)).size).toBe(3)
})

test('SIGTERM ends all that was started, in order', async () => {
  const pids = new Set<string>()
  while (pids.size < 3) pids.add((await ask(`${base}/`)).by)
  const redisPort = /redis:\/\/127\.0\.0\.1:(\d+)/.exec(program.output)![1]!
  expect(await program.end('SIGTERM')).toBe(0)
  for (const pid of pids) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toMatch(`redis-server 127.0.0.1:${redisPort}`)
  expect(program.errors).toBe('')
})
