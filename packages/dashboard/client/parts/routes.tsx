import { useMemo, useState } from 'preact/hooks'
import type { RouteRow, RouteSort, RoutesAnswer } from '../../src/page/contract.ts'
import { get } from '../news/server.ts'
import { count, duration, plain, share } from '../ui/format.ts'
import { Button, Empty, Section, Text, WhyNot } from '../ui/parts.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { useAsked, useInView } from '../ui/use.ts'
import { invalidate } from './invalidate.tsx'

const page = 50
/** More than the server tells at once is asked for in parts. */
const most = 1_000
const everyMs = 5_000

const results = ['hit', 'stale', 'collapsed', 'miss', 'bypass'] as const

/** The parts of all requests, as one bar: it is told apart by order as well as by colour. */
function Mix({ row }: { readonly row: RouteRow }) {
  let from = 0
  const rects = results.map((name) => {
    const width = row[name]
    from += width
    return width > 0 && <rect key={name} class={`area ${name}`} x={from - width} width={width} height="4" />
  })
  return (
    <svg class="bar mix" viewBox={`0 0 ${Math.max(1, row.requests)} 4`} preserveAspectRatio="none" aria-hidden="true">
      {rects}
    </svg>
  )
}

const columnsWith = (mayPurge: boolean): readonly Column<RouteRow, RouteSort>[] => [
  {
    name: 'Route',
    is: 'name',
    sort: 'route',
    rising: true,
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
    rising: true,
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

/** Rows by what they say: one that says the same is the same, and is not drawn again. */
let told = new Map<string, RouteRow>()

async function ask(query: string, limit: number): Promise<RoutesAnswer> {
  const parts = Array.from({ length: Math.ceil(limit / most) }, (_, index) => index * most)
  const answers = await Promise.all(
    parts.map((offset) =>
      get<RoutesAnswer>(`/routes?${query}&limit=${Math.min(most, limit - offset)}&offset=${offset}`),
    ),
  )
  // Between two answers a route may have moved from one part to the other.
  const rows = new Map(answers.flatMap((answer) => answer.rows).map((row) => [row.route, row]))
  const now = new Map<string, RouteRow>()
  for (const row of rows.values()) {
    const text = JSON.stringify(row)
    now.set(text, told.get(text) ?? row)
  }
  told = now
  return { total: answers[0]!.total, rows: [...now.values()] }
}

export function Routes({ mayPurge, gone }: { readonly mayPurge: boolean; readonly gone: boolean }) {
  const [q, setQ] = useState('')
  const [sort, setSort] = useState<RouteSort>('requests')
  const [limit, setLimit] = useState(page)
  const columns = useMemo(() => columnsWith(mayPurge), [mayPurge])
  const [ref, seen] = useInView<HTMLDivElement>()
  const query = new URLSearchParams({ q, sort }).toString()
  const { answer, trouble } = useAsked(() => ask(query, limit), `${query} ${limit}`, everyMs, seen && !gone)
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
            name="q"
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
            columns={columns}
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
          {limit < total && (
            <button type="button" onClick={() => setLimit(3 * limit)}>
              Show more<span class="unseen"> routes</span>
            </button>
          )}
        </p>
      </div>
    </Section>
  )
}
