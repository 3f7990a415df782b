import { afterAll, expect, test } from '@jest/globals'
import { describeHosts } from '../hosts/harness/host.ts'
import { allCases, count } from './cases.ts'
import { openCases } from './open-cases.ts'
import { runCases } from './runner.ts'

test('all cases of the suite that are about shared caches and have an expectation are here', () => {
  expect(new Set(allCases.map((one) => one.id)).size).toBe(allCases.length)
  expect([count(allCases, 'required'), count(allCases, 'optimal')]).toEqual([160, 105])
})

const tallies: string[] = []
afterAll(() => void process.stdout.write(`${tallies.join('\n')}\n`))

describeHosts('conformance (http-tests/cache-tests)', (host) => {
  test('every case passes but those that are open, which are listed with their reason', async () => {
    const verdicts = await runCases(host, allCases)
    const passed = allCases.filter(({ id }) => verdicts.get(id) === undefined)
    const [required, optimal] = [count(passed, 'required'), count(passed, 'optimal')]
    tallies.push(`${host.name}: required ${required} of 160, optimal ${optimal} of 105`)

    const failures = allCases.flatMap(({ id }) => (verdicts.get(id) === undefined ? [] : [[id, verdicts.get(id)]]))
    expect(failures.filter(([id]) => !(id! in openCases))).toEqual([])
    // What passes is no longer open.
    expect(passed.filter(({ id }) => id in openCases)).toEqual([])
    expect(required).toBeGreaterThanOrEqual(159)
    expect(optimal).toBeGreaterThanOrEqual(98)
  }, 120_000)
})
