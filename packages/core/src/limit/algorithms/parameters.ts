import type { StateKind } from './algorithm.ts'

const buckets = ['quota', 'windowMs', 'bucketMs', 'span'] as const

/**
 * What each algorithm counts by, in the order in which it is handed to scripts: the one table of it. The algorithms here
 * are made of it, and so are their mirrors in Lua, where a parameter is written by its name and stands at its place. The
 * two sliding ones count alike, in buckets; those of the log are single milliseconds.
 */
export const parameters = Object.freeze({
  'sliding-window': buckets,
  'sliding-log': buckets,
  'token-bucket': ['burst', 'perToken', 'perMs'],
  'fixed-window': ['quota', 'windowMs'],
  'calendar-window': ['quota'],
  concurrent: ['limit', 'leaseMs'],
  // Refusals are counted in buckets: these come first, and may be read as those of a sliding window.
  ban: [...buckets, 'forMs', 'factor', 'maxMs', 'forgetMs'],
} as const satisfies Record<StateKind, readonly string[]>)

/** The name of one of an algorithm's parameters. */
export type ParameterOf<Kind extends StateKind> = (typeof parameters)[Kind][number]

/** The parameters of an algorithm, by name. */
export type ParametersOf<Kind extends StateKind> = Readonly<Record<ParameterOf<Kind>, number>>

/** The values in the order of the table. */
export function listOf<Kind extends StateKind>(kind: Kind, values: ParametersOf<Kind>): readonly number[] {
  return Object.freeze(parameters[kind].map((name) => values[name as ParameterOf<Kind>]))
}

/** The same number of units, at `share` of them and never less than one where there is any. */
export function part(units: number, share: number): number {
  return units === 0 ? 0 : Math.max(1, Math.floor(units * share))
}
