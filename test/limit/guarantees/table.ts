import type { AlgorithmKind } from '../../../packages/core/src/limit/algorithms/algorithm.ts'

/** What a limit is, in the letters of the table. */
export interface Letters {
  readonly N: number
  readonly B: number
  /** Those of one process while Redis is out: `share` of N and of B. */
  readonly n: number
  readonly b: number
  readonly P: number
}

/** The bounds the table speaks of. Whoever writes another one into a cell has to say here what it comes to. */
export const bounds = {
  N: ({ N }) => N,
  '2N': ({ N }) => 2 * N,
  '3N': ({ N }) => 3 * N,
  '2N − 1': ({ N }) => 2 * N - 1,
  '3N − 1': ({ N }) => 3 * N - 1,
  'B + N − 1': ({ N, B }) => B + N - 1,
  '2B + N − 1': ({ N, B }) => 2 * B + N - 1,
  '2N + P·2n': ({ N, P, n }) => 2 * N + P * 2 * n,
  'N + P·n': ({ N, P, n }) => N + P * n,
  '2N − 1 + P·(2n − 1)': ({ N, P, n }) => 2 * N - 1 + P * (2 * n - 1),
  'B + N − 1 + P·(b + n)': ({ N, B, P, n, b }) => B + N - 1 + P * (b + n),
  everything: () => Number.POSITIVE_INFINITY,
} as const satisfies Record<string, (letters: Letters) => number>

export type Bound = keyof typeof bounds

/** `=`: as many as that are admitted where they are asked for. `≤`: never more, and sometimes fewer. */
export type Cell = `${'=' | '≤'} ${Bound}`

/** Where a limit is counted, and what happens there. */
export const columns = {
  memory: 'one process',
  redis: 'Redis',
  cluster: 'Cluster',
  lease: 'with `lease`',
  closed: 'out: `closed`',
  local: 'out: `local`',
  open: 'out: `open`',
  failover: 'failover',
} as const

export type Column = keyof typeof columns

const counted = (bound: Bound) =>
  ({
    memory: `= ${bound}`,
    redis: `= ${bound}`,
    cluster: `= ${bound}`,
    lease: `≤ ${bound}`,
    closed: `≤ ${bound}`,
    open: '≤ everything',
  }) as const

/**
 * The most that is admitted in any window, by algorithm and by where it is counted. The table of the README is written from
 * it, and each cell is attacked by a test of its name: guarantees.test.ts.
 */
export const guarantees: Readonly<Record<AlgorithmKind, Readonly<Record<Column, Cell>>>> = {
  'sliding-window': { ...counted('N'), local: '≤ N + P·n', failover: '≤ 2N' },
  'sliding-log': { ...counted('N'), local: '≤ N + P·n', failover: '≤ 2N' },
  'token-bucket': { ...counted('B + N − 1'), local: '≤ B + N − 1 + P·(b + n)', failover: '≤ 2B + N − 1' },
  'fixed-window': { ...counted('2N − 1'), local: '≤ 2N − 1 + P·(2n − 1)', failover: '≤ 3N − 1' },
  'calendar-window': { ...counted('2N'), local: '≤ 2N + P·2n', failover: '≤ 3N' },
  // It has no units that could be taken in advance.
  concurrent: { ...counted('N'), lease: '= N', local: '≤ N + P·n', failover: '≤ 2N' },
}

export const kinds = Object.keys(guarantees) as AlgorithmKind[]

/** Each cell by the name that its test has. */
export const cells = kinds.flatMap((kind) =>
  (Object.keys(columns) as Column[]).map((column) => {
    const cell = guarantees[kind][column]
    return { kind, column, cell, name: `${kind}, ${columns[column].replaceAll('`', '')}: ${cell}` }
  }),
)

/** The table as it stands in the README: its cells, line by line. */
export const lines: readonly (readonly string[])[] = [
  ['algorithm', ...Object.values(columns)],
  ...kinds.map((kind) => [`\`${kind}\``, ...Object.keys(columns).map((column) => guarantees[kind][column as Column])]),
]
