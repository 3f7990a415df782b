import { optionError } from '../../base/errors.ts'
import { locationValue } from '../../http/location.ts'
import type { PolicyOptions } from './options.ts'

/** What a policy says about how its refusals are answered. */
export interface Refusing extends Pick<PolicyOptions, 'respond' | 'redirect' | 'status'> {
  /** Handed to the application's error handling. */
  readonly asError: boolean
}

export const statusRule = 'must be a status from 400 to 599'
export const locationRule = 'must be a URL or a path, without control characters'

export function isErrorStatus(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599
}

/** What of the options contradicts the other: one of them would never be asked. */
const contradictions = [
  ['redirect', 'respond', 'a redirection has no body to replace'],
  ['redirect', 'status', 'the status of a redirection is 303'],
] as const

/**
 * `undefined` where a policy says nothing of the kind, and refusals are answered as ever.
 *
 * @param where - the path of the policy, for messages
 * @throws SluiceError `ERR_SLUICE_OPTION` for what makes no sense, alone or together
 */
export function refusingOf(where: string, options: PolicyOptions): Refusing | undefined {
  const { redirect, refuse = 'reply', respond, status } = options
  const asError = refuse === 'error'
  if (typeof status === 'number' && !isErrorStatus(status)) throw optionError(`${where}.status`, statusRule, status)
  if (typeof redirect === 'string' && locationValue(redirect) === undefined) {
    throw optionError(`${where}.redirect`, locationRule, redirect)
  }
  for (const [option, other, why] of contradictions) {
    if (options[option] === undefined || options[other] === undefined) continue
    throw optionError(`${where}.${option}`, `must not stand beside \`${other}\`: ${why}`, options[option])
  }
  if (asError && (redirect ?? respond) !== undefined) {
    const other = redirect === undefined ? 'respond' : 'redirect'
    throw optionError(`${where}.refuse`, `must not be 'error' beside \`${other}\`: the application answers`, refuse)
  }
  if (!asError && redirect === undefined && respond === undefined && status === undefined) return undefined
  return Object.freeze({ asError, redirect, respond, status })
}
