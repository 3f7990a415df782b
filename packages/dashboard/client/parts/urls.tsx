import type { Frame, UrlRow } from '../../src/page/contract.ts'
import { bytes, count, duration } from '../ui/format.ts'
import { Empty, Section, Text } from '../ui/parts.tsx'
import { Table } from '../ui/table.tsx'
import { Find, find } from './find.tsx'

const lists = [
  ['hits', 'Most hits', 'Hits', 'in the last minutes, by samples', count],
  ['size', 'Largest', 'Size', 'of those answered lately', bytes],
  ['fill', 'Slowest to fill', 'Fill', 'how long the handler took', duration],
] as const

/** The URLs that stand out, and the search for one. */
export function Urls({ top, mayPurge }: { readonly top: Frame['top']; readonly mayPurge: boolean }) {
  return (
    <Section
      id="urls"
      title="URLs"
      hint="Is it stored, under what key, how fresh? Search one, or choose one of those that stand out."
    >
      <Find mayPurge={mayPurge} />
      <div class="columns">
        {lists.map(([name, title, column, hint, format]) => (
          <div class="part" key={name}>
            <h3>
              {title} <span class="hint">{hint}</span>
            </h3>
            {top[name].length === 0 ? (
              <Empty>{empty[name]}</Empty>
            ) : (
              <Table
                caption={`${title}: URLs ${hint}`}
                columns={[
                  { name: 'URL', is: 'name', cell: (row: UrlRow) => <Link row={row} /> },
                  { name: column, cell: (row: UrlRow) => format(row.value) },
                ]}
                rows={top[name]}
                id={({ method, url }) => `${method} ${url}`}
              />
            )}
          </div>
        ))}
      </div>
    </Section>
  )
}

const empty = {
  hits: 'No hit yet. The second request for the same URL is one, if the first was stored.',
  size: 'Nothing is stored yet.',
  fill: 'No handler has run for a cache yet.',
} as const

function Link({ row: { method, url } }: { readonly row: UrlRow }) {
  return (
    <button type="button" class="link" onClick={() => find(url)}>
      {method !== 'GET' && <code>{method.slice(0, 16)} </code>}
      <Text of={url} most={120} />
      <span class="unseen">: search it</span>
    </button>
  )
}
