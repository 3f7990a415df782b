import { SluiceError, type SluiceErrorCode } from '../base/errors.ts'

/**
 * A refusal as an error, for the application's own error handling: with the members that Express, Koa, Fastify and
 * everything made for `http-errors` look for.
 */
export class RefusalError extends SluiceError {
  readonly status: number
  /** The same: frameworks differ in which of them they read. */
  readonly statusCode: number
  /** The message is for clients to see, and the refusal no fault to be logged. */
  readonly expose: boolean
  /** What belongs on the answer, whoever makes it: when to come back, and that nobody may store it. */
  readonly headers: Readonly<Record<string, string>>

  /** @param reply - what would be sent without it: its status, and its fields as a flat list */
  constructor(
    code: SluiceErrorCode,
    message: string,
    { status, fields }: { readonly status: number; readonly fields: readonly string[] },
  ) {
    super(code, message)
    this.status = status
    this.statusCode = status
    this.expose = true
    const headers: Record<string, string> = {}
    for (let i = 0; i < fields.length; i += 2) {
      if (!ofContent.has(fields[i]!.toLowerCase())) headers[fields[i]!] = fields[i + 1]!
    }
    this.headers = Object.freeze(headers)
  }
}

/** Of the body, which the application makes. */
const ofContent: ReadonlySet<string> = new Set(['content-type', 'content-length'])
