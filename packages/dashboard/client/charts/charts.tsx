import { useState } from 'preact/hooks'
import type { Sample } from '../../src/page/contract.ts'
import { hitRate, requests } from '../news/known.ts'
import { duration, rate, share } from '../ui/format.ts'
import { Empty, Section } from '../ui/parts.tsx'
import { Chart, type Line } from './chart.tsx'

/** From the ground of the stack to its top. */
const results = [
  ['hit', 'Hits'],
  ['stale', 'Stale'],
  ['collapsed', 'Waited'],
  ['miss', 'Missed'],
  ['bypass', 'Passed by'],
] as const

const quantiles = [
  ['p50', undefined],
  ['p95', '7 4'],
  ['p99', '2 3'],
] as const

const timings = [
  ['lookups', 'Time of a hit', 'To find an answer in the store.'],
  ['fills', 'Time of a fill', 'What a miss costs: the handler, until its answer is whole.'],
  ['backendCalls', 'Time of Redis', 'One call, there and back.'],
] as const

/** Where a process was not there for a while, a line ends and begins anew. */
function withGaps(samples: readonly Sample[]): (Sample | number)[] {
  return samples.flatMap((sample, index) => {
    const goneMs = index > 0 ? sample.at - sample.ms - samples[index - 1]!.at : 0
    return goneMs > 3 * sample.ms ? [sample.at - sample.ms - goneMs / 2, sample] : [sample]
  })
}

export function Charts({ samples }: { readonly samples: readonly Sample[] }) {
  const [pointed, onPoint] = useState<number | null>(null)
  const rows = withGaps(samples)
  const times = rows.map((row) => (typeof row === 'number' ? row : row.at) / 1000)
  const column = (value: (sample: Sample) => number | null): (number | null)[] =>
    rows.map((row) => (typeof row === 'number' ? null : value(row)))
  const perSecond = (value: (sample: Sample) => number) => column((sample) => (value(sample) * 1000) / sample.ms)
  const passed = perSecond(requests)
  const shares = column(hitRate)
  const refused = perSecond((sample) => sample.refused)
  const minutes = Math.max(1, Math.round(((times.at(-1) ?? 0) - (times[0] ?? 0)) / 60))
  const span = minutes === 1 ? 'In the last minute' : `In the last ${minutes} minutes`
  const withRedis = samples.some(({ backendCalls }) => backendCalls !== null)
  const shared = { times, pointed, onPoint }

  return (
    <Section
      id="traffic"
      title="Traffic"
      hint="The last minutes, newest on the right. Point at a chart to read one moment in all of them. p95: of 100, 95 took no longer."
    >
      {samples.length === 0 ? (
        <Empty>The first figures come within some seconds.</Empty>
      ) : (
        <div class="charts">
          <Chart
            {...shared}
            size="half"
            stacked
            title="Requests per second"
            hint="What passed a cache. Blue and green were answered without a handler of their own."
            reach={1}
            format={rate}
            lines={results.map(([part, name]) => ({ name, paint: part, values: perSecond((sample) => sample[part]) }))}
            inWords={`${span}, ${range(passed, rate)} requests a second.`}
          />
          <Chart
            {...shared}
            size="quarter"
            title="Hit rate"
            hint="The share that was answered from the cache."
            reach={[0, 1]}
            format={share}
            tick={(value) => `${value * 100} %`}
            lines={[{ name: 'Hit rate', paint: 'hit', values: shares }]}
            inWords={`${span}, the hit rate was ${range(shares, share)}.`}
          />
          <Chart
            {...shared}
            size="quarter"
            title="Refused per second"
            hint="By limits: what was answered with 429 and its like."
            reach={1}
            format={rate}
            lines={[{ name: 'Refused', paint: 'refused', values: refused }]}
            inWords={`${span}, limits refused ${range(refused, rate)} requests a second.`}
          />
          {timings.map(([name, title, hint]) => {
            if (name === 'backendCalls' && !withRedis) return undefined
            const lines: Line[] = quantiles.map(([part, dash]) => ({
              name: part,
              paint: part,
              ...(dash && { dash }),
              values: column((sample) => sample[name]?.[part] ?? null),
            }))
            const inWords = lines.map((line) => `${line.name} ${range(line.values, duration)}`)
            return (
              <Chart
                {...shared}
                key={name}
                size={withRedis ? 'third' : 'half'}
                title={title}
                hint={hint}
                reach={0.1}
                format={duration}
                lines={lines}
                inWords={`${span}: ${inWords.join('; ')}.`}
              />
            )
          })}
        </div>
      )}
    </Section>
  )
}

function range(values: readonly (number | null)[], format: (value: number) => string): string {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return 'none'
  const [low, high, now] = [Math.min(...known), Math.max(...known), known.at(-1)!].map(format)
  return low === high ? `always ${low}` : `between ${low} and ${high}, now ${now}`
}
