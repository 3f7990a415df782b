import type { Readable } from 'node:stream'
import { isSluiceError, type Reply } from '@sluice/core'

/** An answer without an end: it goes on as long as the client listens. */
export interface StreamedAnswer {
  readonly status: number
  readonly fields: readonly string[]
  readonly stream: Readable
}

export type DoorAnswer = Reply | StreamedAnswer

/** What of it a framework is given as a body. */
export const bodyOf = (answer: DoorAnswer): Readable | Uint8Array | undefined =>
  'stream' in answer ? answer.stream : answer.body

/** A whole answer of the door. Nobody may store any of them. */
function answer(status: number, type: string, said: unknown, fields: readonly string[]): Reply {
  const body = Buffer.from(`${JSON.stringify(said)}\n`)
  return {
    status,
    fields: [
      'Content-Type',
      type,
      'Cache-Control',
      'no-store',
      'X-Content-Type-Options',
      'nosniff',
      ...fields,
      'Content-Length',
      String(body.byteLength),
    ],
    body,
  }
}

export const json = (said: object): Reply => answer(200, 'application/json; charset=utf-8', said, [])

/** A problem document (RFC 9457) that says what to do. */
export function problem(status: number, title: string, detail: string, fields: readonly string[] = []): Reply {
  return answer(status, 'application/problem+json', { title, status, detail }, fields)
}

/** What was asked for cannot be read, or is not allowed: thrown on the way, answered at the end of it. */
export class Refused extends Error {
  readonly reply: Reply

  constructor(reply: Reply) {
    super(`answered ${reply.status}`)
    this.reply = reply
  }
}

/** @throws Refused 400, for input that makes no sense */
export function bad(detail: string): never {
  throw new Refused(problem(400, 'This request makes no sense', detail))
}

/** What is answered where something was thrown. Only what Sluice says of itself is told. */
export function replyTo(error: unknown): Reply {
  if (error instanceof Refused) return error.reply
  if (isSluiceError(error)) {
    if (['ERR_SLUICE_OPTION', 'ERR_SLUICE_POLICY', 'ERR_SLUICE_UNIT', 'ERR_SLUICE_RATE'].includes(error.code)) {
      return problem(400, 'This request makes no sense', error.message)
    }
    if (error.code === 'ERR_SLUICE_STORE' || error.code === 'ERR_SLUICE_CLOSED') {
      return problem(503, 'The store has not confirmed it', error.message)
    }
  }
  return problem(500, 'This failed', 'Something went wrong on the server. The event `error` of the instance has it.')
}
