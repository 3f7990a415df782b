import { isSluiceError } from '../../base/errors.ts'
import type { InstanceEvents } from '../instance-events.ts'
import { type LogLevel, nameOf } from './logger.ts'

/** One line that an event is worth. */
export interface Fact {
  readonly level: LogLevel
  readonly message: string
  /** What makes it the same fact as an earlier one, and what stands in the line. No key, cookie, address or body. */
  readonly fields: Readonly<Record<string, unknown>>
  /** What stands in it only where the log is told not to redact. */
  readonly secret?: Readonly<Record<string, unknown>>
}

type Facts = { readonly [Name in keyof InstanceEvents]?: (event: InstanceEvents[Name]) => Fact | undefined }

/** The lines, by the event they are made of. Events that say that all is well have none. */
export const facts: Facts = {
  error: ({ error, route }) => ({
    level: 'error',
    message: error.code === 'ERR_SLUICE_CALLBACK' ? 'a callback of the application failed' : shortOf(error.message),
    fields: { code: error.code, route },
    secret: { error: error.message, cause: textOf(error.cause) },
  }),
  'store-error': ({ error, policies }) => ({
    level: 'error',
    message: 'limits could not be asked of the store, and `onOutage` decided',
    fields: { policies, cause: nameOf(error) },
    secret: { error: textOf(error) },
  }),
  'stale-served': ({ route, status, cause }) => ({
    level: 'warn',
    message: 'a handler failed, and an older answer was served in its place',
    fields: { route, status, cause: cause === undefined ? undefined : nameOf(cause) },
    secret: { error: textOf(cause) },
  }),
  guard: ({ route, fields, advice }) => ({
    level: 'warn',
    message: 'an answer is not shared: what its handler read is not in the key',
    fields: { route, read: fields, advice },
  }),
  refused: ({ route, reason }) => ({ level: 'info', message: 'an answer was not stored', fields: { route, reason } }),
  'front-refused': ({ route, reason }) => ({
    level: 'info',
    message: 'a route is not answered at the front door',
    fields: { route, reason },
  }),
  invalidated: ({ tags, mode }) => ({
    level: 'info',
    message: mode === 'purge' ? 'answers were purged' : 'answers were expired',
    fields: { mode },
    secret: { tags },
  }),
  audit: ({ who, action, what, count, error }) => ({
    level: error === undefined ? 'info' : 'warn',
    message:
      error === undefined ? 'an operator changed something' : 'what an operator asked for has not been confirmed',
    fields: { action },
    secret: { who, what, count, error: error === undefined ? undefined : textOf(error) },
  }),
  denied: ({ route, violated }) => ({
    level: 'warn',
    message: 'a request was refused by a limit',
    fields: { route, policies: violated },
  }),
  'shadow-denied': ({ route, violated }) => ({
    level: 'info',
    message: 'a limit in shadow mode would have refused a request',
    fields: { route, policies: violated },
  }),
  'near-limit': ({ route, policy }) => ({
    level: 'info',
    message: 'a quota is nearly used up',
    fields: { route, policy },
  }),
  delayed: ({ route, policies, outcome }) =>
    outcome === 'admitted'
      ? undefined
      : { level: 'info', message: 'a delayed request was not admitted', fields: { route, policies, outcome } },
  banned: ({ policy, subject, until, times, byHand, reason }) => ({
    level: 'warn',
    message: byHand ? 'a key was shut out by hand' : 'a key was shut out',
    fields: { policy, byHand },
    secret: { subject, until, times, reason },
  }),
  unbanned: ({ policy, subject }) => ({
    level: 'info',
    message: 'a key was let in again',
    fields: { policy },
    secret: { subject },
  }),
  shed: ({ route, priority, reason }) => ({
    level: 'warn',
    message: 'a request was refused because the process has too much to do',
    fields: { route, priority, reason },
  }),
}

/** Up to what a message says of the cause in brackets, which is somebody else's text. */
const shortOf = (message: string): string => message.split(' (', 1)[0]!

const textOf = (error: unknown): string | undefined =>
  error === undefined ? undefined : error instanceof Error || isSluiceError(error) ? error.message : String(error)
