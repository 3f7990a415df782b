import { describe, expect, test } from '@jest/globals'
import { durations, instruments } from '../../packages/opentelemetry/src/metrics/instruments.ts'
import { definitions } from '../../packages/prometheus/src/metrics.ts'
import { codeIn, counterparts, rowsOf } from './counterparts.ts'

const all = [...Object.values(durations).map((one) => ({ ...one, kind: 'histogram' })), ...instruments]

describe('docs/guide/traces.md', () => {
  test('has a row for each metric, with its kind, unit and attributes, and none for another', () => {
    const rows = rowsOf('Metrics').map(([name = '', kind, unit = '', attributes = '']) => ({
      name: codeIn(name)[0]!,
      kind,
      unit: codeIn(unit)[0]!,
      attributes: codeIn(attributes),
    }))
    const made = all.map(({ name, kind, unit, attributes }) => ({ name, kind, unit, attributes: [...attributes] }))
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)
    expect(rows.sort(byName)).toEqual(made.sort(byName))
  })

  test('has a counterpart for each metric of Prometheus, and for each only one', () => {
    const theirs = counterparts().map((pair) => pair.theirs)
    expect(theirs.sort()).toEqual(definitions.map(({ name }) => `sluice_${name}`).sort())
  })
})

describe('the names', () => {
  test.each(all.map((one) => [one.name, one] as const))('%s is what OpenTelemetry asks of one', (name, one) => {
    expect(name).toMatch(/^(?:sluice|db\.client)(?:\.[a-z]+(?:_[a-z]+)*)+$/)
    // The unit has a place of its own.
    expect(name).not.toMatch(/[._](?:total|seconds|bytes|ratio)\b/)
    expect(one.unit).toMatch(/^(?:s|By|1|\{[a-z]+\})$/)
    expect(one.description).toMatch(/^[A-Z].*\.$/)
    expect(one.attributes.filter((key) => !/^(?:sluice|http|db|error)\.[a-z_.]+$/.test(key))).toEqual([])
  })

  test('no two metrics have the same', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })
})
