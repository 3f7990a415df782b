import { useState } from 'preact/hooks'
import type { RouteRow, RouteSort, RoutesAnswer } from '../../src/page/contract.ts'
import { get } from '../news/server.ts'
import { count, duration, plain, share } from '../ui/format.ts'
import { Button, Empty, Section, Text, WhyNot } from '../ui/parts.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { useAsked, useInView } from '../ui/use.ts'
import { invalidate } from './invalidate.tsx'

const page = 50
const everyMs = 5_000

/** The parts of all requests, as one bar: it is told apart by order as well as by colour. */
function Mix({ row }: { readonly row: RouteRow }) {
  const parts = [row.hit, row.stale, row.collapsed, row.miss, row.bypass]
  const names = ['hit', 'stale', 'collapsed', 'miss', 'bypass']
  let from = 0
  return (
    <svg class="bar mix" viewBox={`0 0 ${Math.max(1, row.requests)} 4`} preserveAspectRatio="none" aria-hidden="true">
      {parts.map((part, index) => {
        const rect = <rect key={names[index]} class={`area ${names[index]}`} x={from} width={part} height="4" />
        from += part
        return rect
      })}
    </svg>
  )
}

const columnsWith = (mayPurge: boolean): readonly Column<RouteRow, RouteSort>[] => [
  {
    name: 'Route',
    is: 'name',
    sort: 'route',
    cell: (row) => (
      <>
        <Text of={row.route} />
        {row.terms.length > 0 && (
          <p class="terms">
            Told apart by{' '}
            {row.terms.slice(0, 12).map((term, index) => (
              <span key={term}>
                {index > 0 && ', '}
                <code>{plain(term.slice(0, 80))}</code>
              </span>
            ))}
            {row.terms.length > 12 && ` and ${row.terms.length - 12} more`}
          </p>
        )}
        {row.why && <WhyNot why={row.why} />}
      </>
    ),
  },
  { name: 'Requests', sort: 'requests', cell: ({ requests }) => count(requests) },
  {
    name: 'Hit rate',
    sort: 'hitRate',
    cell: (row) => (
      <>
        {share(row.requests === 0 ? null : row.hitRate)} <Mix row={row} />
      </>
    ),
  },
  { name: 'Time saved', sort: 'saved', cell: ({ savedMs }) => duration(savedMs) },
  { name: 'Mean fill', sort: 'fill', cell: ({ fillMs }) => duration(fillMs) },
  ...(mayPurge
    ? [
        {
          name: 'Actions',
          is: 'actions',
          cell: ({ route }: RouteRow) =>
            route.startsWith('/') && (
              <Button of={route} onClick={() => invalidate('routes', route)}>
                Purge…
              </Button>
            ),
        } as const,
      ]
    : []),
]

export function Routes({ mayPurge, gone }: { readonly mayPurge: boolean; readonly gone: boolean }) {
  const [q, setQ] = useState('')
  const [sort, setSort] = useState<RouteSort>('requests')
  const [limit, setLimit] = useState(page)
  const [ref, seen] = useInView<HTMLDivElement>()
  const query = new URLSearchParams({ q, sort, limit: String(limit), offset: '0' }).toString()
  const { answer, trouble } = useAsked(() => get<RoutesAnswer>(`/routes?${query}`), query, everyMs, seen && !gone)
  const rows = answer?.rows ?? []
  const total = answer?.total ?? 0
  return (
    <Section
      id="routes"
      title="Routes"
      hint="What passes a cache, by the pattern of its route. A fill is a run of the handler; time saved is what hits would have taken by it."
      tools={
        <label class="filter">
          <span>Filter</span>
          <input
            type="search"
            value={q}
            onInput={({ currentTarget }) => {
              setQ(currentTarget.value)
              setLimit(page)
            }}
            spellcheck={false}
          />
        </label>
      }
    >
      <div ref={ref} class="part">
        {answer && rows.length === 0 ? (
          q === '' ? (
            <Empty>
              No request has passed a cache yet. Put <code>sluice.cache('1m')</code> in front of a route.
            </Empty>
          ) : (
            <Empty>No route has “{plain(q.slice(0, 80))}” in it. Empty the filter to see all of them.</Empty>
          )
        ) : (
          <Table
            caption="Routes, with what the cache did for them"
            columns={columnsWith(mayPurge)}
            rows={rows}
            id={({ route }) => route}
            sorted={sort}
            onSort={setSort}
          />
        )}
        <p class="more">
          <span role="status">
            {trouble && !gone
              ? trouble
              : answer
                ? `${count(rows.length)} of ${count(total)} shown`
                : 'Asking for the routes…'}
          </span>
          {rows.length < total && rows.length >= limit && (
            <button type="button" onClick={() => setLimit(limit + 2 * page)}>
              Show more<span class="unseen"> routes</span>
            </button>
          )}
        </p>
      </div>
    </Section>
  )
}
