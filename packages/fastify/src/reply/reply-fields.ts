import { Fields, mergedFields, mergeLists } from '@sluice/core'
import type { FastifyReply } from 'fastify'

/** What is on the response now: Fastify's own fields, and those that somebody put on the raw response. */
export function fieldsOf(reply: FastifyReply): Fields {
  return Fields.from(reply.getHeaders())
}

/**
 * Lays a flat list of fields over those of a response, as `Reply.fields` says it. Content-Length is left to Fastify,
 * which counts the body that leaves it in the end: another hook may still compress it, or trailers forbid the field.
 */
export function layFields(reply: FastifyReply, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (name === 'content-length') continue
    const value = fields[i + 1]!
    // Fields repeat side by side.
    if (fields[i + 2]?.toLowerCase() !== name) {
      layOver(reply, name, value)
      continue
    }
    const lines = [value]
    for (; fields[i + 2]?.toLowerCase() === name; i += 2) lines.push(fields[i + 3]!)
    if (name === 'set-cookie') reply.header(name, lines)
    else if (mergedFields.has(name)) layOver(reply, name, lines.join(', '))
    else reply.header(name, lines)
  }
}

function layOver(reply: FastifyReply, name: string, value: string): void {
  const there = mergedFields.has(name) ? reply.getHeader(name) : undefined
  // `header` adds a cookie to those that are there, and replaces everything else.
  reply.header(name, there === undefined ? value : mergeLists(String(there), value))
}

/** Puts the fields of a response back to what they were when the exchange began. */
export function restoreFields(reply: FastifyReply, before: Fields): void {
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
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
