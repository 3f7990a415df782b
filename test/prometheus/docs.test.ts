import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
import { definitions } from '../../packages/prometheus/src/metrics.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const guide = readFileSync(join(root, 'docs/guide/metrics.md'), 'utf8')

describe('docs/guide/metrics.md', () => {
  test('has a row for each metric, with its type, labels and words, and none for another', () => {
    const rows = guide
      .split('\n')
      .filter((line) => line.startsWith('| `sluice_'))
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .map(([, name = '', type, labels = '', help]) => {
        return {
          name: name.slice(1, -1),
          type,
          labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
          help,
        }
      })
    const exported = definitions.map(({ name, type, labels, help }) => ({ name: `sluice_${name}`, type, labels, help }))
    expect(rows).toEqual(exported)
  })

  test('asks only for metrics and labels that there are', () => {
    const names = new Map(definitions.map(({ name, labels, type }) => [`sluice_${name}`, { labels, type }]))
    const queries = guide.split('\n').filter((line) => line.startsWith('|') && /rate\(|max by/.test(line))
    expect(queries.length).toBeGreaterThan(5)
    const unknown = queries.flatMap((query) =>
      [...query.matchAll(/(sluice_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, asked = '', selectors = '']) => {
        const known = names.get(asked) ?? names.get(asked.replace(/_(?:bucket|sum|count)$/, ''))
        if (!known) return [asked]
        const labels = [...selectors.matchAll(/(\w+)=/g)].map(([, label]) => label!)
        const grouped = /sum by \(([^)]+)\)/.exec(query)?.[1]?.split(/, */) ?? []
        return [...labels, ...grouped].filter((label) => label !== 'le' && !known.labels.includes(label))
      }),
    )
    expect(unknown).toEqual([])
  })
})

describe('the names', () => {
  test.each(definitions.map((one) => [one.name, one] as const))(
    '%s is what Prometheus asks of one',
    (name, { type, labels, help }) => {
      expect(name).toMatch(/^[a-z][a-z0-9_]*[a-z]$/)
      expect(name.endsWith('_total')).toBe(type === 'counter')
      // Base units, and at the end.
      expect(name).not.toMatch(/_(?:ms|milliseconds|kb|percent)\b|(?:seconds|bytes|ratio)_(?!total$)/)
      if (type === 'histogram') expect(name).toMatch(/_seconds$/)
      expect(
        labels.filter((label) => !/^[a-z]+$/.test(label) || ['le', 'quantile', 'instance', 'job'].includes(label)),
      ).toEqual([])
      expect(help).toMatch(/^[A-Z].*\.$/)
    },
  )

  test('no two metrics have the same', () => {
    expect(new Set(definitions.map(({ name }) => name)).size).toBe(definitions.length)
  })

  test('samples have the labels of their metric, and no others', async () => {
    const sluice = createSluice({ limits: { all: '1/min' } })
    sluice.shed({ concurrency: true })
    const registry = new Registry()
    prometheus(sluice, { registry })
    const known = new Map<string, readonly string[]>(definitions.map(({ name, labels }) => [`sluice_${name}`, labels]))
    const foreign = (await registry.getMetricsAsJSON()).flatMap(({ name, values }) =>
      values.flatMap(({ labels }) =>
        Object.keys(labels).filter((label) => label !== 'le' && !known.get(name)?.includes(label)),
      ),
    )
    expect(foreign).toEqual([])
    await sluice.close()
  })
})
