import { parser } from '@prometheus-io/lezer-promql'

/** What a query asks for: metrics with the labels they are selected by, and the labels it groups by. */
export interface Asked {
  readonly metrics: readonly { readonly name: string; readonly labels: readonly string[] }[]
  readonly grouped: readonly string[]
  readonly aggregates: boolean
}

/** Reads a query as Prometheus does, by the grammar of its own editor. @throws Error where it cannot be read */
export function readQuery(query: string): Asked {
  const text = query.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h')
  const metrics: { name: string; labels: string[] }[] = []
  const grouped: string[] = []
  let aggregates = false
  parser.parse(text).iterate({
    enter(node) {
      const of = (from: number, to: number): string => text.slice(from, to)
      if (node.type.isError) throw new Error(`cannot be read at ${node.from}: ${text}`)
      if (node.name === 'AggregateExpr') aggregates = true
      if (node.name === 'VectorSelector') {
        const name = node.node.getChild('Identifier')
        if (!name) throw new Error(`a selector without a metric: ${text}`)
        metrics.push({ name: of(name.from, name.to), labels: [] })
      }
      if (node.name === 'LabelName') {
        const label = of(node.from, node.to)
        if (node.node.parent?.name === 'GroupingLabels') grouped.push(label)
        else metrics.at(-1)?.labels.push(label)
      }
    },
  })
  return { metrics, grouped, aggregates }
}
