import { bad, problem, Refused } from '../door/answer.ts'
import { type DoorRequest, header } from '../door/request.ts'

/** A list of a thousand tags, and then some. */
export const mostBytes = 64 * 1024

/** The object that a request carries; an empty one where it carries nothing. @throws Refused 400, 413, 415 */
export async function bodyOf(request: DoorRequest): Promise<Readonly<Record<string, unknown>>> {
  if (Number(header(request, 'content-length') ?? 0) > mostBytes) throw tooLarge()
  const { parsed } = request
  // Parsers leave an empty object where there was nothing for them.
  if (parsed !== undefined && request.raw.readableDidRead) return objectFrom(parsed)
  if ((header(request, 'content-encoding') ?? 'identity').toLowerCase() !== 'identity') {
    throw new Refused(problem(415, 'Not that coding', 'Send the body as it is, without Content-Encoding.'))
  }
  return objectFrom(await textOf(request))
}

async function textOf({ raw }: DoorRequest): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  // What is left of a body that is too large is not kept: node reads it off the connection once the answer is out.
  for await (const piece of raw as AsyncIterable<Buffer>) {
    size += piece.byteLength
    if (size > mostBytes) throw tooLarge()
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function objectFrom(body: unknown): Readonly<Record<string, unknown>> {
  const text = Buffer.isBuffer(body) ? body.toString() : body
  const value: unknown = typeof text === 'string' ? read(text) : text
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value))
    bad('The body must be a JSON object, such as {"tags":["cities"]}.')
  return value as Record<string, unknown>
}

function read(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    bad(`The body is no JSON: ${(error as Error).message}.`)
  }
}

function tooLarge(): Refused {
  return new Refused(
    problem(413, 'Too much', `A body may have ${mostBytes} bytes. Send several, or purge by tag or route.`),
  )
}

/** @throws Refused 400 for members that are not known: a slip must not purge something else */
export function known(body: Readonly<Record<string, unknown>>, ...names: readonly string[]): void {
  const other = Object.keys(body).find((name) => !names.includes(name))
  if (other !== undefined) bad(`There is no member ${JSON.stringify(other.slice(0, 80))}. Known: ${names.join(', ')}.`)
}
