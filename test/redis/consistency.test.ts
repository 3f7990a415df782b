import { expect, test } from '@jest/globals'
import { runConsistency } from './processes/consistency.ts'

test.each([
  ['reads of Redis: none older than the last purge that had resolved before the request began', false],
  ['memory in front: the same', true],
])(
  '%s',
  async (_, tier) => {
    const report = await runConsistency({ seed: tier ? 22 : 11, ms: 6_000, processes: 3, tier })
    expect(report.violations).toEqual([])
    expect(report.failures).toEqual([])
    expect(report.faults.length).toBeGreaterThan(1)
    expect(report.hits).toBeGreaterThan(10)
    expect(report.writes - report.uncertain).toBeGreaterThan(3)
  },
  60_000,
)
