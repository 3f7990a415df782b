import { trimOws } from './lists.ts'

/**
 * The weight a parameter of a preference states (RFC 9110 §12.4.2): 0 to 1, at most three digits behind the point. 1 for
 * a parameter that is not `q`, NaN for a weight that cannot be read.
 */
export function weightOf(parameter: string): number {
  if (!isWeight(parameter)) return 1
  const weight = trimOws(parameter.slice(parameter.indexOf('=') + 1))
  return /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight) : Number.NaN
}

/** Whether a parameter is a weight. */
export function isWeight(parameter: string): boolean {
  const equals = parameter.indexOf('=')
  return trimOws(parameter.slice(0, Math.max(equals, 0))).toLowerCase() === 'q'
}
