import { afterAll, expect, test } from '@jest/globals'
import { describeHosts } from '../hosts/harness/host.ts'
import type { Case } from './case.ts'
import { freshnessCases } from './cases/freshness.ts'
import { selectionCases } from './cases/selection.ts'
import { storingCases } from './cases/storing.ts'
import { validationCases } from './cases/validation.ts'
import { openCases } from './open-cases.ts'
import { runCases } from './runner.ts'

const cases: readonly Case[] = [...freshnessCases, ...storingCases, ...validationCases, ...selectionCases]
const count = (of: readonly Case[], kind: Case['kind']): number => of.filter((one) => one.kind === kind).length

test('all cases of the suite that are not about browsers or without an expectation are here', () => {
  expect(new Set(cases.map((one) => one.id)).size).toBe(cases.length)
  expect([count(cases, 'required'), count(cases, 'optimal')]).toEqual([160, 105])
})

const tallies: string[] = []
afterAll(() => void process.stdout.write(`${tallies.join('\n')}\n`))

describeHosts('conformance (http-tests/cache-tests)', (host) => {
  test('every case passes but those that are open, which are listed with their reason', async () => {
    const verdicts = await runCases(host, cases)
    const passed = cases.filter(({ id }) => verdicts.get(id) === undefined)
    const [required, optimal] = [count(passed, 'required'), count(passed, 'optimal')]
    tallies.push(`${host.name}: required ${required} of 160, optimal ${optimal} of 105`)

    const failures = cases.flatMap(({ id }) => (verdicts.get(id) === undefined ? [] : `${id}: ${verdicts.get(id)}`))
    const unexpected = failures.filter((line) => !(line.slice(0, line.indexOf(':')) in openCases))
    expect(unexpected).toEqual([])
    // What passes is no longer open.
    expect(passed.filter(({ id }) => id in openCases)).toEqual([])
    expect(required).toBeGreaterThanOrEqual(159)
    expect(optimal).toBeGreaterThanOrEqual(98)
  }, 60_000)
})
