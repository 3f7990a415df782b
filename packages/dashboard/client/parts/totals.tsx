import type { Totals as Sums } from '../../src/page/contract.ts'
import { hitRate, requests } from '../news/known.ts'
import { count, duration, share } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'

/** The figures since the processes began, in a line. */
export function Totals({ totals }: { readonly totals: Sums }) {
  const figures: readonly (readonly [name: string, value: string])[] = [
    ['Requests', count(requests(totals))],
    ['Hit rate', share(hitRate(totals))],
    ['Hits', count(totals.hit)],
    ['Stale', count(totals.stale)],
    ['Missed', count(totals.miss)],
    ['Waited', count(totals.collapsed)],
    ['Passed by', count(totals.bypass)],
    ['Stored', count(totals.stored)],
    ['Not stored', count(totals.notStored)],
    ['Purged', count(totals.purges)],
    ['Expired', count(totals.expires)],
    ['Errors', count(totals.errors)],
    ['Time saved', duration(totals.savedMs)],
  ]
  return (
    <Section id="totals" title="Since the start">
      <dl class="totals">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
