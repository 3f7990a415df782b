import { optionError, show } from '../../base/errors.ts'

/** What lines are written to: pino, winston, bunyan, Fastify's `app.log`, `console`, or anything with these three. */
export interface LogTarget {
  info(...line: readonly unknown[]): unknown
  warn(...line: readonly unknown[]): unknown
  error(...line: readonly unknown[]): unknown
}

export type LogLevel = keyof LogTarget

/** Writes one line. Never throws. */
export type WriteLine = (level: LogLevel, message: string, fields: object) => void

/**
 * pino and bunyan want the fields first, `console` and winston the message.
 *
 * @param failed - the logger threw
 * @throws SluiceError `ERR_SLUICE_OPTION` for what is no logger
 */
export function lineWriter(
  logger: LogTarget,
  order: 'fields' | 'message' | undefined,
  failed: (error: unknown) => void,
): WriteLine {
  for (const level of ['info', 'warn', 'error'] as const) {
    if (typeof (logger as Partial<LogTarget> | null | undefined)?.[level] !== 'function') {
      throw optionError('log', 'must be a logger with info, warn and error (pino, winston, console)', logger)
    }
  }
  const fieldsFirst = (order ?? (wantsFieldsFirst(logger) ? 'fields' : 'message')) === 'fields'
  return (level, message, fields) => {
    try {
      if (fieldsFirst) logger[level](fields, message)
      else logger[level](message, fields)
    } catch (error) {
      failed(error)
    }
  }
}

/** `bindings` is pino's (and so Fastify's), `addSerializers` bunyan's. */
function wantsFieldsFirst(logger: object): boolean {
  const known = logger as { bindings?: unknown; addSerializers?: unknown }
  return typeof known.bindings === 'function' || typeof known.addSerializers === 'function'
}

/** What a thrown value is called where its text may hold anything. */
export function nameOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return show(typeof error)
  const { code, name } = error as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'Error'
}
