import { trimOws } from '../fields/lists.ts'

/**
 * What a parameter of a preference says of its weight (RFC 9110 §12.4.2): 0 to 1, at most three digits behind the point. NaN for a weight
 * that is none; other parameters mean nothing, which is 1.
 */
export function weightOf(parameter: string): number {
  const equals = parameter.indexOf('=')
  if (trimOws(parameter.slice(0, Math.max(equals, 0))).toLowerCase() !== 'q') return 1
  const weight = trimOws(parameter.slice(equals + 1))
  return /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight) : Number.NaN
}
