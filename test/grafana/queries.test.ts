import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import type { Family } from '../prometheus/exposition.ts'
import { scrapeBusyInstance } from './instance.ts'
import { readQuery } from './promql.ts'

const folder = fileURLToPath(new URL('../../grafana', import.meta.url))

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}
interface Target {
  readonly datasource: unknown
  readonly expr: string
  readonly legendFormat: string
  readonly refId: string
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource: unknown
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly Target[]
}

const dashboard = JSON.parse(readFileSync(join(folder, 'sluice.json'), 'utf8')) as {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { name: string; type: string; datasource?: unknown; query: unknown }[]
  }
}
const { groups } = load(readFileSync(join(folder, 'alerts.yml'), 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}
const rules = groups.flatMap((group) => group.rules)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const targets = panels.flatMap((panel) => (panel.targets ?? []).map((target) => ({ panel: panel.title, ...target })))

/** What Prometheus adds to what it scrapes. */
const added = ['job', 'instance']
/** What this instance has no sample of: nothing went wrong, and its limits are on Redis, which has no cap of keys. */
const seldom: Readonly<Record<string, readonly string[]>> = {
  sluice_errors_total: ['code'],
  sluice_limit_keys_max: [],
}

let families: ReadonlyMap<string, Family>
beforeAll(async () => {
  families = await scrapeBusyInstance()
})

/** The labels that samples of this name have. */
function labelsOf(name: string): ReadonlySet<string> | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(?:bucket|sum|count)$/, ''))
  const samples = family?.samples.filter((one) => one.name === name) ?? []
  if (samples.length === 0) return families.has(name) && seldom[name] ? new Set(seldom[name]) : undefined
  return new Set(samples.flatMap(({ labels }) => Object.keys(labels)))
}

/** What of a query does not exist. */
function unknownIn(query: string, legend = ''): string[] {
  const { metrics, grouped, aggregates } = readQuery(query)
  expect(metrics.length).toBeGreaterThan(0)
  const selected = metrics.flatMap(({ name, labels }) => {
    const known = labelsOf(name)
    if (!known) return [name]
    return [...labels, ...grouped]
      .filter((label) => !known.has(label) && !added.includes(label))
      .map((l) => `${name} ${l}`)
  })
  const left = aggregates ? grouped : [...added, ...metrics.flatMap(({ name }) => [...(labelsOf(name) ?? [])])]
  const named = [...legend.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label]) => label!)
  return [...selected, ...named.filter((label) => !left.includes(label)).map((label) => `{{${label}}}`)]
}

describe('queries are read as Prometheus reads them', () => {
  test.each([
    'sum by (route) (rate(sluice_requests_total[5m])',
    'rate(sluice_requests_total{result=hit}[5m])',
    'sum by route (sluice_entries)',
    'sluice_entries +',
  ])('%s is refused', (query) => {
    expect(() => readQuery(query)).toThrow(/cannot be read/)
  })

  test('what is not exposed is found', () => {
    expect(unknownIn('sum by (shoe) (rate(sluice_requests_total{hat="x"}[5m]))', '{{coat}}')).toEqual([
      'sluice_requests_total hat',
      'sluice_requests_total shoe',
      '{{coat}}',
    ])
    expect(unknownIn('sluice_wishes_total')).toEqual(['sluice_wishes_total'])
  })
})

/** The variable that the data source is chosen by. */
const chosen = ['$', '{datasource}'].join('')

describe('the dashboard', () => {
  test.each(targets.map((target) => [target.panel, target.expr, target.legendFormat] as const))(
    '%s: %s',
    (_, expr, legend) => {
      expect(unknownIn(expr, legend)).toEqual([])
      // One dashboard for all jobs: each selector can be narrowed.
      expect(readQuery(expr).metrics.every(({ labels }) => added.every((label) => labels.includes(label)))).toBe(true)
    },
  )

  test('has a row for each question', () => {
    const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)
    expect(rows).toEqual([
      'What is my hit rate, by route?',
      'What does a miss cost?',
      'Who is being limited?',
      'Why is this route never stored?',
      'Is Redis slow?',
      'Is there room? Memory against its caps',
      'Is the process keeping up?',
    ])
  })

  test('asks the data source that is chosen, everywhere', () => {
    const asked = [...dashboard.panels, ...targets, ...dashboard.templating.list.filter(({ type }) => type === 'query')]
    expect(asked.length).toBeGreaterThan(60)
    for (const { datasource } of asked) expect(datasource).toEqual({ type: 'prometheus', uid: chosen })
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ])
  })

  test('has panels of their own numbers, which lie beside each other', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const taken = new Set<string>()
    for (const { gridPos, title } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const cell = `${x}/${y}`
          expect([title, taken.has(cell)]).toEqual([title, false])
          taken.add(cell)
        }
      }
    }
  })

  test('says of each panel what it shows, and gives its queries letters of their own', () => {
    for (const { description, targets: own } of panels) {
      expect(description).toMatch(/\.$/)
      expect(new Set(own?.map(({ refId }) => refId)).size).toBe(own?.length)
    }
  })
})

describe('the alert rules', () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s', (_, { expr, annotations, labels }) => {
    expect(unknownIn(expr, `${annotations.summary} ${annotations.description}`)).toEqual([])
    expect(annotations.summary.length).toBeLessThan(110)
    expect(annotations.description.length).toBeGreaterThan(80)
    expect(['critical', 'warning', 'info']).toContain(labels.severity)
  })

  test('cover what an operator is woken for', () => {
    const names = rules.map(({ alert }) => alert)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(
      expect.arrayContaining(['SluiceHitRateFell', 'SluiceBreakerOpen', 'SluiceRefusalsRose', 'SluiceLoopBlocked']),
    )
    const tested = readFileSync(join(folder, 'alerts.test.yml'), 'utf8')
    expect(names.filter((name) => !tested.includes(`alertname="${name}"`))).toEqual([])
  })
})
