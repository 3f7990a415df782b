import { parseDeltaSeconds } from '../fields/delta-seconds.ts'
import { splitList } from '../fields/lists.ts'

/**
 * The seconds an `Age` field states (RFC 9111 §5.1): the first member where there are several, capped at 2^31, and 0
 * where it is absent, negative, fractional or not a number.
 */
export function parseAge(value: string | undefined): number {
  if (value === undefined) return 0
  return parseDeltaSeconds(splitList(value)[0] ?? '') ?? 0
}
