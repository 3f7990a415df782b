/**
 * Every error Sluice throws or reports, in one place.
 *
 * Errors are recognised by a brand symbol from the global registry and not by `instanceof`, so that two copies of the
 * package in one process (an ESM and a CommonJS one, say) recognise each other's.
 */

const brand: unique symbol = Symbol.for('sluice.error') as never

/** The stable, documented codes. Branch on these, never on the message. */
export type SluiceErrorCode =
  /** An option that does not exist, has the wrong type, or contradicts another. Thrown when the application starts. */
  | 'ERR_SLUICE_OPTION'
  /** A duration, byte size or rate that does not parse. Thrown when the application starts. */
  | 'ERR_SLUICE_UNIT'
  /** A rate that does not parse. Thrown when the application starts. */
  | 'ERR_SLUICE_RATE'
  /** A policy name that was never configured. */
  | 'ERR_SLUICE_POLICY'
  /** The instance was used after `close()`. */
  | 'ERR_SLUICE_CLOSED'
  /** A store did not answer, or answered with an error. Reported as an event; never breaks a response. */
  | 'ERR_SLUICE_STORE'
  /** A snapshot file is damaged, foreign, or of another version. Reported as an event; the file is ignored. */
  | 'ERR_SLUICE_SNAPSHOT'
  /** A function the application gave (key, tags, cost, …) threw or answered nonsense. Reported as an event. */
  | 'ERR_SLUICE_CALLBACK'
  /** Work for after the response was turned away: too much of it, or the instance is closed. Reported as an event. */
  | 'ERR_SLUICE_DEFER'
  /** A limit refuses a request, and hands the refusal to the application's own error handling (`refuse: 'error'`). */
  | 'ERR_SLUICE_LIMITED'
  /** The same of a request that is shed. */
  | 'ERR_SLUICE_SHED'
  /** A cursor, page or field selection in a request is malformed. Answered with 400. */
  | 'ERR_SLUICE_INPUT'

/**
 * An error with a stable `code`, one sentence on what happened and one on what to do.
 *
 * @example
 * ```ts
 * try { createSluice({ cach: {} }) } catch (error) {
 *   if (isSluiceError(error)) console.error(error.code, error.message)
 * }
 * ```
 */
export class SluiceError extends Error {
  readonly code: SluiceErrorCode
  readonly [brand] = true

  constructor(code: SluiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SluiceError'
    this.code = code
  }
}

/** Whether `value` is an error of Sluice's, of this copy of the package or of another. */
export function isSluiceError(value: unknown): value is SluiceError {
  return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true
}

/**
 * A configuration error: which option, which rule, what was received.
 *
 * @param option - the path of the option, as the user wrote it: `cache.maxBytes`
 * @param rule - what it must be, as a clause: `must be a positive number of bytes or a size such as '64mb'`
 * @param received - the offending value
 */
export function optionError(option: string, rule: string, received: unknown): SluiceError {
  return new SluiceError('ERR_SLUICE_OPTION', `Option \`${option}\` ${rule}; received ${show(received)}.`)
}

/** A value as it may stand in an error message: short, on one line, with its type where that is not plain. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'symbol') return value.toString()
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  const name = (value as { constructor?: { name?: string } }).constructor?.name
  return name && name !== 'Object' ? `an instance of ${name}` : 'an object'
}
