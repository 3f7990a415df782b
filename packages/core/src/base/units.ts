import { SluiceError, show } from './errors.ts'

/** A length of time: milliseconds as a number, or a number with a unit: `'250ms'`, `'30s'`, `'5m'`, `'1h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}` | (string & {})

/** An amount of memory: bytes as a number, or a number with a unit (powers of 1024): `'512kb'`, `'64mb'`, `'1gb'`. */
export type ByteSize = number | `${number}${'b' | 'kb' | 'mb' | 'gb'}` | (string & {})

const msPer = new Map<string, number>([
  ...['ms', 'millisecond', 'milliseconds'].map((unit) => [unit, 1] as const),
  ...['s', 'sec', 'second', 'seconds'].map((unit) => [unit, 1_000] as const),
  ...['m', 'min', 'minute', 'minutes'].map((unit) => [unit, 60_000] as const),
  ...['h', 'hour', 'hours'].map((unit) => [unit, 3_600_000] as const),
  ...['d', 'day', 'days'].map((unit) => [unit, 86_400_000] as const),
  ...['w', 'week', 'weeks'].map((unit) => [unit, 604_800_000] as const),
])

const bytesPer = new Map<string, number>([
  ['b', 1],
  ['kb', 2 ** 10],
  ['mb', 2 ** 20],
  ['gb', 2 ** 30],
])

const amount = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)\s*$/i

/** Milliseconds in one of `unit`, or `undefined` where there is no such unit. The rate grammar shares this table. */
export function unitMs(unit: string): number | undefined {
  return msPer.get(unit.toLowerCase())
}

/**
 * Reads a {@link Duration} into whole milliseconds.
 *
 * @param option - the path of the option it stands in, for the error message
 * @throws SluiceError `ERR_SLUICE_UNIT` for anything that is not a finite duration of 0 or more
 * @example
 * ```ts
 * durationMs('ttl', '5m') // 300000
 * ```
 */
export function durationMs(option: string, value: Duration): number {
  return quantity(option, value, msPer, "must be milliseconds or a duration such as '30s', '5m' or '1h'")
}

/**
 * Reads a {@link ByteSize} into whole bytes.
 *
 * @param option - the path of the option it stands in, for the error message
 * @throws SluiceError `ERR_SLUICE_UNIT` for anything that is not a finite size of 0 or more
 */
export function byteSize(option: string, value: ByteSize): number {
  return quantity(option, value, bytesPer, "must be bytes or a size such as '512kb' or '64mb'")
}

function quantity(option: string, value: number | string, units: Map<string, number>, rule: string): number {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return Math.round(value)
  const match = typeof value === 'string' ? amount.exec(value) : null
  const unit = match ? units.get(match[2]!.toLowerCase()) : undefined
  const result = match && unit ? Math.round(Number(match[1]) * unit) : Number.NaN
  if (result <= Number.MAX_SAFE_INTEGER) return result
  throw new SluiceError('ERR_SLUICE_UNIT', `Option \`${option}\` ${rule}; received ${show(value)}.`)
}
