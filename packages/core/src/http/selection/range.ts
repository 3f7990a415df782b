import { parseHttpDate } from '../fields/http-date.ts'
import { splitList, trimOws } from '../fields/lists.ts'
import { isEntityTag, strongMatch } from './etag.ts'

/** Positions of the first and the last byte, both included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * The one range of bytes a `Range` field asks for (RFC 9110 §14.2). `unsatisfiable`: answer 416. `undefined`: ignore the
 * field and send the whole; so for several ranges, other units, and whatever is malformed, which §14.2 allows.
 *
 * @param length - bytes of the representation
 */
export function singleRange(header: string | undefined, length: number): ByteRange | 'unsatisfiable' | undefined {
  if (header === undefined) return undefined
  const equals = header.indexOf('=')
  // RFC 9110 §14.1: names of units are case-insensitive.
  if (equals < 0 || trimOws(header.slice(0, equals)).toLowerCase() !== 'bytes') return undefined
  const ranges = splitList(header.slice(equals + 1))
  const parts = ranges.length === 1 ? /^([0-9]*)-([0-9]*)$/.exec(ranges[0]!) : null
  if (!parts || (parts[1] === '' && parts[2] === '')) return undefined
  return parts[1] === '' ? suffix(Number(parts[2]), length) : span(Number(parts[1]), parts[2]!, length)
}

/** Whether a `Range` field asks for one range of bytes, whatever the length of what it is about. */
export function isSingleRange(header: string | undefined): boolean {
  const range = singleRange(header, Number.MAX_SAFE_INTEGER)
  return range !== undefined && range !== 'unsatisfiable'
}

/** The bytes a 206 has, and how many there are in all. */
export interface ContentRange extends ByteRange {
  readonly length: number
}

/**
 * What a `Content-Range` says of a single part (RFC 9110 §14.4). `undefined` where it is malformed, of another unit, or
 * does not tell the whole length.
 *
 * @example
 * ```ts
 * parseContentRange('bytes 0-4/10') // { start: 0, end: 4, length: 10 }
 * ```
 */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const parts = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})$/i.exec(value ?? '')
  if (!parts) return undefined
  const [start, end, length] = parts.slice(1).map(Number) as [number, number, number]
  return start <= end && end < length ? { start, end, length } : undefined
}

/** RFC 9110 §14.1.2: the last `wanted` bytes; all of them where there are fewer. */
function suffix(wanted: number, length: number): ByteRange | 'unsatisfiable' | undefined {
  if (wanted === 0) return 'unsatisfiable'
  // Satisfiable, but no Content-Range can say so of nothing (§14.4).
  if (length === 0) return undefined
  return { start: Math.max(0, length - wanted), end: length - 1 }
}

/** RFC 9110 §14.1.2: from one position to another, or to the end. */
function span(start: number, last: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  // A last position before the first makes the field invalid, whatever the length (§14.1.1).
  if (last !== '' && Number(last) < start) return undefined
  if (start >= length) return 'unsatisfiable'
  return { start, end: last === '' ? length - 1 : Math.min(Number(last), length - 1) }
}

/**
 * Whether the condition of an `If-Range` field holds, so that the range may be sent (RFC 9110 §13.1.5). Holds where the
 * field is absent. Entity tags compare strongly. A date must be exactly that of `Last-Modified`, and that must be a strong
 * validator: at least a second earlier than `Date` (§8.8.2.2).
 */
export function ifRangeHolds(
  value: string | undefined,
  etag: string | undefined,
  lastModified: string | undefined,
  dateMs: number,
): boolean {
  if (value === undefined) return true
  const wanted = trimOws(value)
  if (isEntityTag(wanted)) return etag !== undefined && strongMatch(wanted, etag)
  const wantedMs = parseHttpDate(wanted, dateMs)
  const modifiedMs = parseHttpDate(lastModified, dateMs)
  return wantedMs !== undefined && wantedMs === modifiedMs && dateMs - modifiedMs >= 1000
}
