import { STATUS_CODES } from 'node:http'

/** What a client did wrong, or asked for in vain. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number

  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
  }
}

/** An error as a document (RFC 9457). */
export interface ProblemDocument {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
}

export const problemType = 'application/problem+json'

/**
 * Tells the client about an error. What the three frameworks throw themselves (a body that is not JSON, one that is too
 * large) is the client's doing and is passed on; of anything else it learns nothing, and the log everything.
 */
export function describeProblem(error: unknown): ProblemDocument {
  const status = clientStatus(error)
  if (status !== undefined) return problemDocument(status, (error as Error).message)
  console.error(error)
  return problemDocument(500, 'This server could not answer. Its log says why.')
}

export function problemDocument(status: number, detail: string): ProblemDocument {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail }
}

function clientStatus(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  // Express and Koa call it `status`, Fastify `statusCode`.
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  return [status, statusCode].find((code): code is number => typeof code === 'number' && code >= 400 && code < 500)
}
