import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { observe } from '../../scripts/lib/observe.mjs'
import { parseExposition, type Sample } from '../prometheus/exposition.ts'
import { load } from './support/load.ts'
import { Program } from './support/program.ts'
import { takeCities } from './support/stored-cities.ts'

/** One load of 135,000 rows where none was kept. */
jest.setTimeout(120_000)

const hasPrometheus = spawnSync('prometheus', ['--version']).error === undefined
const where = hasPrometheus ? test : (test.skip as unknown as typeof test)

let program: Program
let base: string
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'observe-test-'))
  await takeCities(directory)
  program = new Program('cities-api/src/main.ts', ['express'], {
    PORT: '0',
    DATA_DIR: directory,
    LIMIT_LOGIN: '1 per 15 minutes',
  })
  base = (await program.said(/listens on (\S+)\n/))[1]!
})
afterAll(async () => {
  await program.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

/** What it exposes, once it is no longer too busy to say: on a slow machine it sheds, scrapers too. */
async function samples(): Promise<readonly Sample[]> {
  for (;;) {
    const answer = await fetch(`${base}/metrics`)
    const text = await answer.text()
    if (answer.ok) return [...parseExposition(text).values()].flatMap((family) => family.samples)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

describe('npm run demo:load', () => {
  test('makes the figures move: hits, misses, purges, refusals, compressed bodies', async () => {
    const { code, output, errors } = await load('--rate', '40', '--for', '5', '--url', base)
    expect([code, errors]).toEqual([0, expect.stringMatching(/^› Asking http\S+ 40 times a second, for 5 s/)])
    expect(output).toMatch(/^hit \d+, .*miss \d+/m)
    const all = await samples()
    const sum = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
      all
        .filter(
          (one) => one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
        )
        .reduce((total, { value }) => total + value, 0)
    // How many depends on how long the first searches take the machine.
    expect(sum('sluice_requests_total', { result: 'hit' })).toBeGreaterThan(5)
    expect(sum('sluice_requests_total', { result: 'miss' })).toBeGreaterThan(3)
    // None need be collapsed: the embedded database holds the process up, so whoever comes meanwhile finds what was stored.
    expect(sum('sluice_invalidations_total', { mode: 'purge' })).toBeGreaterThan(0)
    expect(sum('sluice_limit_decisions_total', { policy: 'login', result: 'refused' })).toBeGreaterThan(0)
    expect(sum('sluice_compressed_bodies_total')).toBeGreaterThan(0)
  })

  test('ends on Ctrl-C, and says what came of it', async () => {
    const { code, output } = await load('--rate', '20', '--for', '600', '--url', base)
    expect([code, output]).toEqual([0, expect.stringMatching(/(?:hit|miss|limited) \d+/)])
  })
})

describe('npm run demo:observe', () => {
  where(
    `Prometheus comes up and answers a query${hasPrometheus ? '' : ' (skipped: apt-get install prometheus)'}`,
    async () => {
      const observers = await observe(new URL(base).host)
      try {
        const ask = async (query: string) => {
          const answer = await fetch(`${observers.prometheus}/api/v1/query?query=${encodeURIComponent(query)}`)
          const { data } = (await answer.json()) as { data: { result: { metric: object; value: [number, string] }[] } }
          return data.result
        }
        let found = await ask('sluice_entries{job="cities-api"}')
        for (let i = 0; found.length === 0 && i < 200; i++) {
          await new Promise((resolve) => setTimeout(resolve, 100))
          found = await ask('sluice_entries{job="cities-api"}')
        }
        expect(found).toHaveLength(1)
        expect(await ask('up{job="cities-api"}')).toMatchObject([{ value: [expect.anything(), '1'] }])
        const rules = await (await fetch(`${observers.prometheus}/api/v1/rules`)).text()
        expect(rules).toMatch(/SluiceHitRateFell/)
      } finally {
        await observers.stop()
      }
      await expect(fetch(`${observers.prometheus}/-/ready`)).rejects.toThrow()
    },
  )

  test('without Prometheus it says what to install, and the API runs all the same', async () => {
    const said: string[] = []
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0)
    const observers = await observe(new URL(base).host, directory)
    write.mockRestore()
    expect(observers).toMatchObject({ prometheus: undefined, grafana: undefined })
    expect(said.join('')).toMatch(/Prometheus is not installed.*apt-get install prometheus/)
    expect((await fetch(`${base}/metrics`)).status).toBe(200)
    await observers.stop()
  })

  test('what it gives to Grafana is there', () => {
    expect(existsSync(fileURLToPath(new URL('../../grafana/sluice.json', import.meta.url)))).toBe(true)
  })
})
