import { Fields, mergedFields, mergeLists } from '@sluice/core'
import { fieldsSetOn, isLive as isLiveResponse, privately, setStatus } from '@sluice/node'
import type { FastifyReply } from 'fastify'

/** What is on the response now: Fastify's own fields, and those that somebody put on the raw response. */
export function fieldsOf(reply: FastifyReply): Fields {
  return Fields.from(fieldsSetOn(reply))
}

/** Names of fields, each with itself in lower case, as Fastify keeps them. */
const lowerNames = new Map<string, string>()

/** Making a name anew for each response takes longer than laying its field does. Clients bring none of them, so they are few. */
export function lowerName(name: string): string {
  let lower = lowerNames.get(name)
  if (lower === undefined) {
    lower = name.toLowerCase()
    if (lowerNames.size < 1_000) lowerNames.set(name, lower)
  }
  return lower
}

/**
 * Lays a flat list of fields over those of a response, as `Reply.fields` says it. Content-Length is left to Fastify,
 * which counts the body that leaves it in the end: another hook may still compress it, or trailers forbid the field.
 */
export function layFields(reply: FastifyReply, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = lowerName(fields[i]!)
    if (name === 'content-length') continue
    const value = fields[i + 1]!
    // Fields repeat side by side.
    if (i + 2 >= fields.length || lowerName(fields[i + 2]!) !== name) {
      layOver(reply, name, value)
      continue
    }
    const lines = [value]
    for (; fields[i + 2]?.toLowerCase() === name; i += 2) lines.push(fields[i + 3]!)
    if (name === 'set-cookie') reply.header(name, lines)
    else if (mergedFields.has(name)) layOver(reply, name, lines.join(', '))
    else reply.header(name, lines)
  }
  keepPrivate(reply)
}

/** A cookie is one client's: whoever keeps the answer must not keep it for others. Plugins may set theirs later. */
function keepPrivate(reply: FastifyReply): void {
  const control = privately(reply.getHeader('cache-control'))
  if (control === undefined) return
  const make = (): void => {
    reply.removeHeader('cdn-cache-control')
    void reply.header('cache-control', control)
  }
  if (reply.getHeader('set-cookie') !== undefined) make()
  else if ('setCookie' in reply) {
    const original = reply.header
    reply.header = function header(this: FastifyReply, name: string, value: unknown) {
      if (name.toLowerCase() === 'set-cookie') {
        reply.header = original
        make()
      }
      return original.call(reply, name as never, value as never)
    } as never
  }
}

function layOver(reply: FastifyReply, name: string, value: string): void {
  const there = mergedFields.has(name) ? reply.getHeader(name) : undefined
  // `header` adds a cookie to those that are there, and replaces everything else.
  reply.header(name, there === undefined ? value : mergeLists(String(there), value))
}

/** Puts the fields of a response back to what they were when the exchange began. */
export function restoreFields(reply: FastifyReply, before: Fields): void {
  for (const name of Object.keys(fieldsSetOn(reply))) reply.removeHeader(name)
  for (const name of before.names()) setLines(reply, name, before.lines(name))
}

/** Applies what an exchange changed in a head. */
export function applyTouched(reply: FastifyReply, fields: Fields): void {
  for (const name of fields.touched()) {
    reply.removeHeader(name)
    setLines(reply, name, fields.lines(name))
  }
}

function setLines(reply: FastifyReply, name: string, lines: readonly string[]): void {
  if (lines.length) reply.header(name, lines.length === 1 ? lines[0] : [...lines])
}

/** Takes fields of earlier hooks off a response that the answer is without. */
export function removeFields(reply: FastifyReply, names: readonly string[]): void {
  for (const name of names) {
    reply.removeHeader(name)
    reply.raw.removeHeader(name)
  }
}

/** Gives a reply a status, and the reason phrase that goes with it. */
export function setStatusOf(
  reply: FastifyReply,
  { status, reason }: { status: number; reason?: string | undefined },
): void {
  if (reason !== undefined || status !== reply.statusCode) setStatus(reply.raw, status, reason)
  reply.code(status)
}

/** Whether nothing is gained by holding the head of this response until its body begins. */
export function isLive(reply: FastifyReply): boolean {
  return isLiveResponse({ getHeader: (name: string) => reply.getHeader(name) })
}

/**
 * Notes which fields of a response are set or removed from now on: a handler that says what earlier hooks have said
 * already says it itself. `undefined` where there is nothing yet that it could repeat.
 */
export function watchWritten(reply: FastifyReply, before: Fields): ReadonlySet<string> | undefined {
  if (before.names().next().done) return undefined
  const written = new Set<string>()
  for (const name of ['header', 'removeHeader'] as const) {
    const method = reply[name] as (...args: unknown[]) => unknown
    reply[name] = function (this: FastifyReply, ...args: unknown[]): unknown {
      written.add(String(args[0]).toLowerCase())
      return method.apply(this, args)
    } as never
  }
  const { type } = reply
  reply.type = function (this: FastifyReply, contentType: string): FastifyReply {
    written.add('content-type')
    return type.call(this, contentType)
  } as never
  return written
}
