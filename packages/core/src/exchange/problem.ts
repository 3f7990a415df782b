import type { Reply } from './exchange.ts'

/** What a problem says (RFC 9457 §3.1). Further members are extensions of its type. */
export interface Problem {
  /** A URI that names the kind of problem. Left out, it is `about:blank`: the status says all there is. */
  readonly type?: string | undefined
  /** The same for every problem of the type. */
  readonly title: string
  readonly status: number
  /** About this occurrence. */
  readonly detail?: string | undefined
  readonly [extension: string]: unknown
}

/**
 * An answer in `application/problem+json` (RFC 9457) that nobody may store.
 *
 * @param fields - further fields, alternating names and values
 */
export function problem(said: Problem, fields: readonly string[] = []): Reply {
  // Buffer and not TextEncoder: half the time for short texts.
  const body = Buffer.from(JSON.stringify(said))
  return {
    status: said.status,
    fields: [
      'Content-Type',
      'application/problem+json',
      'Cache-Control',
      'no-store',
      ...fields,
      'Content-Length',
      String(body.byteLength),
    ],
    body,
  }
}

/** The registry of problem types that HTTP specifications share. */
export const ianaProblem = (name: string): string => `https://iana.org/assignments/http-problem-types#${name}`
