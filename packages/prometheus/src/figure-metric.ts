import { durationBoundsMs, type ExemplarFigures, type FiguresSnapshot, type HistogramFigures } from '@sluice/core'
import type { Definition } from './metrics.ts'

interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
  readonly metricName?: string
  /** As prom-client has them, which writes them in OpenMetrics and leaves them out of text. */
  readonly exemplar?: {
    readonly labelSet: Readonly<Record<string, string>>
    readonly value: number
    readonly timestamp: number
  }
}

/**
 * A metric as a registry of prom-client holds it. Nothing is counted here: it reads what it says from a snapshot, each time it is
 * asked.
 */
export class FigureMetric {
  readonly help: string
  readonly type: Definition['type']
  readonly aggregator: string
  readonly #name: string
  readonly #definition: Definition
  readonly #snapshot: () => FiguresSnapshot
  #asked: string | undefined

  constructor(prefix: string, definition: Definition, snapshot: () => FiguresSnapshot) {
    this.#name = `${prefix}${definition.name}`
    this.#definition = definition
    this.#snapshot = snapshot
    this.help = definition.help
    this.type = definition.type
    this.aggregator = definition.joined
  }

  get name(): string {
    return this.#name
  }

  /**
   * A registry that writes OpenMetrics renames counters (there `_total` belongs to the sample) and asks right away. It holds for
   * that once: the next one may write text, where they are called as ever.
   */
  set name(name: string) {
    this.#asked = name
  }

  /** What prom-client asks for. */
  get(): { name: string; help: string; type: string; aggregator: string; values: readonly Sample[] } {
    const name = this.#asked ?? this.#name
    this.#asked = undefined
    const { help, type, aggregator } = this
    return { name, help, type, aggregator, values: this.#values() }
  }

  /** What these count goes on: it is not prom-client's to begin anew. */
  reset(): void {}

  #values(): readonly Sample[] {
    const definition = this.#definition
    const at = this.#snapshot()
    if (definition.type === 'histogram') {
      return definition.read(at).flatMap(([value, ...labels]) => this.#buckets(value, this.#labelled(labels)))
    }
    return definition.read(at).map(([value, ...labels]) => ({ value, labels: this.#labelled(labels) }))
  }

  #labelled(values: readonly string[]): Record<string, string> {
    const labels: Record<string, string> = {}
    for (const [i, name] of this.#definition.labels.entries()) if (values[i]) labels[name] = values[i]
    return labels
  }

  #buckets({ counts, count, sumMs, exemplars }: HistogramFigures, labels: Record<string, string>): Sample[] {
    const name = this.#name
    const samples: Sample[] = []
    let below = 0
    for (const [i, boundMs] of durationBoundsMs.entries()) {
      below += counts[i]!
      const le = String(boundMs / 1_000)
      samples.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: below, ...shown(exemplars?.[i]) })
    }
    const above = shown(exemplars?.[durationBoundsMs.length])
    samples.push({ metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count, ...above })
    samples.push({ metricName: `${name}_sum`, labels, value: sumMs / 1_000 })
    samples.push({ metricName: `${name}_count`, labels, value: count })
    return samples
  }
}

function shown(exemplar: ExemplarFigures | undefined): Pick<Sample, 'exemplar'> {
  if (!exemplar) return {}
  const labelSet = { trace_id: exemplar.traceId, span_id: exemplar.spanId }
  return { exemplar: { labelSet, value: exemplar.ms / 1_000, timestamp: exemplar.at.getTime() / 1_000 } }
}
