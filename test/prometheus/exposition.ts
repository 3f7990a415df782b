/** A sample of an exposition. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** In OpenMetrics, of a bucket. */
  readonly exemplar?: { readonly labels: Readonly<Record<string, string>>; readonly value: number; readonly at: number }
}

/** A metric of an exposition, with all its samples. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: readonly Sample[]
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const number = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

/**
 * Reads an exposition as a scraper does, and throws at what `promtool check metrics` would complain of: samples without their
 * metric, of another one, twice, or of no use for their type; no help; buckets that fall, or are not closed by the count.
 */
export function parseExposition(text: string, format: 'text' | 'openmetrics' = 'text'): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics') {
    if (lines.pop() !== '# EOF') throw new Error('the end is missing')
    if (lines.some((line) => line === '')) throw new Error('OpenMetrics has no empty lines')
  }
  const families = new Map<string, { name: string; help: string; type: string; samples: Sample[] }>()
  let current: { name: string; help: string; type: string; samples: Sample[] } | undefined
  for (const line of lines.filter((one) => one !== '')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment) {
      const [, what, name = '', rest = ''] = comment
      if (!metricName.test(name)) throw new Error(`no name of a metric: ${line}`)
      if (what === 'HELP') {
        if (families.has(name)) throw new Error(`twice: ${name}`)
        current = { name, help: rest, type: '', samples: [] }
        families.set(name, current)
      } else {
        if (current?.name !== name) throw new Error(`a type of something else: ${line}`)
        current.type = rest
      }
      continue
    }
    const [bare = '', exemplar] = line.split(/ # (?=\{)/)
    const sample =
      exemplar === undefined ? parseSample(line) : { ...parseSample(bare), exemplar: parseExemplar(exemplar) }
    if (exemplar !== undefined && !(format === 'openmetrics' && sample.name.endsWith('_bucket')))
      throw new Error(`no place for an exemplar: ${line}`)
    if (!current || !belongs(sample, current, format)) throw new Error(`not of ${current?.name}: ${line}`)
    const same = (one: Sample): boolean => one.name === sample.name && sorted(one) === sorted(sample)
    if (current.samples.some(same)) throw new Error(`twice: ${line}`)
    current.samples.push(sample)
  }
  for (const family of families.values()) {
    if (family.help === '') throw new Error(`no help: ${family.name}`)
    if (family.type === 'histogram') checkBuckets(family)
    if (family.type === 'counter' && family.samples.some(({ value }) => !(value >= 0)))
      throw new Error('less than none')
  }
  return families
}

const sorted = ({ labels }: Sample): string => JSON.stringify(Object.entries(labels).sort())

function parseSample(line: string): Sample {
  const [, name = '', inside = '', value = ''] = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (!metricName.test(name) || !number.test(value)) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  const rest = inside.replace(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/g, (_, label, text) => {
    if (label in labels) throw new Error(`a label twice: ${line}`)
    labels[label] = text.replace(/\\([\\"n])/g, (_all: string, sign: string) => (sign === 'n' ? '\n' : sign))
    return ''
  })
  if (rest !== '') throw new Error(`no labels: ${line}`)
  return { name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) }
}

/** `{labels} value timestamp` (OpenMetrics 1.0 §Exemplars): no more than 128 characters of names and values. */
function parseExemplar(text: string): NonNullable<Sample['exemplar']> {
  const [, set = '', at = ''] = /^(\{.*\} \S+) (\S+)$/.exec(text) ?? []
  if (!number.test(at)) throw new Error(`no timestamp of an exemplar: ${text}`)
  const { labels, value } = parseSample(`exemplar${set}`)
  const characters = Object.entries(labels).flat().join('').length
  if (characters > 128) throw new Error(`${characters} characters of an exemplar: ${text}`)
  return { labels, value, at: Number(at) }
}

function belongs({ name, labels }: Sample, family: { name: string; type: string }, format: string): boolean {
  if (family.type === 'histogram') {
    if (name === `${family.name}_bucket`) return 'le' in labels
    return name === `${family.name}_sum` || name === `${family.name}_count`
  }
  if (family.type !== 'counter') return family.type === 'gauge' && name === family.name
  return format === 'openmetrics' ? name === `${family.name}_total` : name === family.name && name.endsWith('_total')
}

function checkBuckets({ name, samples }: Family): void {
  const series = new Map<string, { le: number; value: number }[]>()
  const without = ({ labels: { le: _, ...labels } }: Sample): string => JSON.stringify(Object.entries(labels).sort())
  for (const sample of samples) {
    if (sample.name !== `${name}_bucket`) continue
    const le = sample.labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labels.le)
    series.set(without(sample), [...(series.get(without(sample)) ?? []), { le, value: sample.value }])
  }
  for (const [labels, buckets] of series) {
    const rising = buckets.every(
      (one, i) => i === 0 || (one.le > buckets[i - 1]!.le && one.value >= buckets[i - 1]!.value),
    )
    const count = samples.find((one) => one.name === `${name}_count` && without(one) === labels)
    const last = buckets.at(-1)!
    if (!rising || last.le !== Number.POSITIVE_INFINITY || last.value !== count?.value)
      throw new Error(`buckets of ${name}`)
  }
}

/** The value of a series; `undefined` where there is none. */
export function seriesValue(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  const all = [...families.values()].flatMap(({ samples }) => samples)
  return all.find((one) => one.name === name && sorted(one) === wanted)?.value
}
