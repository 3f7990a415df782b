import { createHash, timingSafeEqual } from 'node:crypto'
import { optionError, type Reply } from '@sluice/core'
import { problem } from './answer.ts'
import { fromElsewhere } from './cross-site.ts'
import type { DoorRules } from './options.ts'
import { type DoorRequest, header, hostOf } from './request.ts'

/** Who has come in. */
export interface Visitor {
  /** `undefined`: it was said that he may, and not who he is. */
  readonly who: string | undefined
}

/** Whether a request may come in: who it is, or the answer that it may not. */
export async function admit(
  request: DoorRequest,
  { authorize }: DoorRules,
  failed: (error: unknown) => void,
): Promise<Visitor | Reply> {
  if (!authorize) return isAtHome(request) ? { who: 'development' } : closed
  let answer: unknown
  try {
    answer = await authorize(request.native)
  } catch (error) {
    // Many check a token by what throws where it is wrong; others fail because a database is gone. Neither opens.
    failed(error)
  }
  const visitor = visitorFrom(answer)
  if (visitor) return visitor
  return header(request, 'authorization') === undefined ? unknown : refused
}

const unknown = problem(
  401,
  'Who are you?',
  'This door opens to who is authorized. Send what it asks for, such as `Authorization: Bearer <token>`.',
  ['WWW-Authenticate', 'Bearer realm="sluice"'],
)
const refused = problem(403, 'Not for you', 'What was sent does not open this door. See its option `authorize`.')
const closed = problem(
  403,
  'Not for you',
  'Without `authorize` this door opens only in development, to a client on a loopback address that came through no proxy. Give it an `authorize`.',
)

function visitorFrom(answer: unknown): Visitor | undefined {
  if (answer === true) return { who: undefined }
  const name = typeof answer === 'object' && answer !== null ? nameIn(answer) : answer
  return typeof name === 'string' && name !== '' ? { who: name } : undefined
}

function nameIn(user: object): string | undefined {
  const { name, id } = user as { name?: unknown; id?: unknown }
  if (typeof name === 'string' && name !== '') return name
  return typeof id === 'string' || typeof id === 'number' ? String(id) : undefined
}

const proxyFields = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'via',
] as const

/**
 * On this machine, and not on behalf of somebody elsewhere: neither through a proxy, nor by a page whose name was made to lead
 * here (which asks for a host of that name).
 */
function isAtHome(request: DoorRequest): boolean {
  const { raw } = request
  if (!isLoopback(raw.socket?.remoteAddress ?? '')) return false
  if (proxyFields.some((name) => raw.headers[name] !== undefined)) return false
  // An application may let other origins read its answers.
  if (fromElsewhere(request)) return false
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(hostOf(request))
}

/** 127.0.0.0/8 and ::1, also as an IPv6 socket tells of the first. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/i.test(address)
}

/**
 * An `authorize` for machines: opens to `Authorization: Bearer <token>`, compared in the same time whatever is sent.
 *
 * @param token - at least 16 characters, such as `openssl rand -base64 32` makes
 * @param name - who that is, for the event `audit`. Default `'token'`
 * @throws SluiceError for a token that can be guessed
 * @example
 * ```ts
 * app.use('/ops', admin(sluice, { authorize: bearer(process.env.OPS_TOKEN) }))
 * ```
 */
export function bearer(token: string | undefined, name = 'token'): (request: object) => string | false {
  if (typeof token !== 'string' || token.length < 16) {
    // Not shown: it may be most of a secret.
    throw optionError(
      'bearer(token)',
      'must be at least 16 characters long, such as `openssl rand -base64 32` makes',
      undefined,
    )
  }
  const expected = digest(token)
  return (request) => {
    const sent = /^Bearer +(\S+) *$/i.exec(authorizationOf(request))?.[1]
    return sent !== undefined && timingSafeEqual(digest(sent), expected) && name
  }
}

/** Every framework's request has `headers`, in lower case. */
function authorizationOf(request: object): string {
  const { headers } = request as { headers?: Record<string, unknown> }
  return String(headers?.authorization ?? '')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
