import { ServerResponse } from 'node:http'
import { displayName, type Fields, mergedFields, mergeLists, type Reply } from '@sluice/core'
import { fieldsSetOn } from '../watch/set-fields.ts'
import { placeForNow } from './methods.ts'
import { setStatus } from './written-fields.ts'

/**
 * Sends a whole answer. What is on the response counts as set by earlier middleware: the reply's fields replace it, but
 * for list fields, which are merged, and cookies, which are added.
 *
 * @param by - has the `end` to send it by: that of the response has run already where it is the handler's answer that
 *   is sent, and what middleware behind us puts in its place runs once (sessions)
 */
export function sendReply(
  response: ServerResponse,
  reply: Reply,
  method: string,
  by: { end(body?: Uint8Array): unknown } = response,
): void {
  const { fields, status } = reply
  if (reply.reason !== undefined || status !== response.statusCode) setStatus(response, status, reply.reason)
  if (reply.without) removeFields(response, reply.without)
  if (response.writeHead === ServerResponse.prototype.writeHead && !hasMerged(response) && !anyRepeats(fields)) {
    // Nothing to merge with: the list goes out as it stands, which costs a third of setting field by field. Not where
    // somebody wants to see the head first: what stands in for `writeHead` often knows no flat lists. And not with
    // repeated fields: where a header was ever set, removed or not, node 20 keeps only the last line of each.
    response.writeHead(status, fields as string[])
  } else {
    setFields(response, fields)
    keepPrivateBesideCookies(response)
  }
  if (reply.body === undefined || method === 'HEAD') by.end()
  else by.end(reply.body)
}

/** `Cache-Control` with `private` in the place of `public`; `undefined` where it does not say that. */
export function privately(control: unknown): string | undefined {
  if (typeof control !== 'string' || !isPublic.test(control)) return undefined
  return control.replace(isPublic, '$1private')
}

const isPublic = /(^|[, ])public(?=[, ]|$)/i

/**
 * A cookie is one client's: whoever keeps the answer must not keep it for others (RFC 9111 §7.3). Middleware in front sets
 * its cookies before us, or when the head is written.
 */
export function keepPrivateBesideCookies(response: ServerResponse): void {
  const control = privately(response.getHeader('cache-control'))
  if (control === undefined) return
  const make = (): void => {
    response.setHeader('Cache-Control', control)
    response.removeHeader('CDN-Cache-Control')
  }
  if (response.getHeader('set-cookie') !== undefined) {
    make()
    return
  }
  for (const method of ['setHeader', 'appendHeader'] as const) {
    const original = response[method] as (...args: unknown[]) => ServerResponse
    const putBack = placeForNow(response, method, (...args: unknown[]) => {
      if (String(args[0]).toLowerCase() === 'set-cookie') {
        putBack()
        make()
      }
      return original.apply(response, args)
    })
  }
}

/**
 * Lays a flat list of fields over those of a response.
 *
 * @param except - the name of one that is left to the host, written as it is in the list
 */
export function setFields(response: ServerResponse, fields: readonly string[], except?: string): void {
  const merge = hasMerged(response)
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (name === except) continue
    const value = fields[i + 1]!
    if (repeats(fields, i)) response.appendHeader(name, value)
    else if (merge) layOver(response, name, value)
    else response.setHeader(name, value)
  }
}

/** Whether a field is there that a reply adds to: all others it just replaces. Three look-ups, for each hit asks. */
function hasMerged(response: ServerResponse): boolean {
  return (
    response.getHeader('vary') !== undefined ||
    response.getHeader('cache-status') !== undefined ||
    response.getHeader('set-cookie') !== undefined
  )
}

/** Whether an earlier pair of the list has this name: fields repeat side by side. */
function repeats(fields: readonly string[], at: number): boolean {
  return at >= 2 && fields[at - 2] === fields[at]
}

function anyRepeats(fields: readonly string[]): boolean {
  for (let i = 2; i < fields.length; i += 2) if (repeats(fields, i)) return true
  return false
}

function layOver(response: ServerResponse, name: string, value: string): void {
  const lower = name.toLowerCase()
  const isCookie = lower === 'set-cookie'
  // Of others it is not asked for: what middleware has put there would count as read by the handler.
  const there = isCookie || mergedFields.has(lower) ? response.getHeader(name) : undefined
  if (there === undefined) response.setHeader(name, value)
  else if (isCookie) response.appendHeader(name, value)
  else response.setHeader(name, mergeLists(String(there), value))
}

/** Takes fields of earlier middleware off a response that the answer is without. */
export function removeFields(response: ServerResponse, names: readonly string[]): void {
  for (const name of names) response.removeHeader(name)
}

/** Puts the fields of a response back to what they were when the exchange began; those nobody changed are left alone. */
export function restoreFields(response: ServerResponse, before: Fields): void {
  const set: Record<string, unknown> = fieldsSetOn(response)
  for (const name of Object.keys(set)) if (!before.has(name)) response.removeHeader(name)
  for (const name of before.names()) {
    const lines = before.lines(name)
    const there = set[name]
    const now = Array.isArray(there) ? there : [String(there)]
    if (there === undefined || now.length !== lines.length || now.some((line, i) => line !== lines[i])) {
      putField(response, name, lines)
    }
  }
}

/** Applies what an exchange changed in a head. */
export function applyTouched(response: ServerResponse, fields: Fields): void {
  for (const name of fields.touched()) putField(response, name, fields.lines(name))
}

function putField(response: ServerResponse, name: string, lines: readonly string[]): void {
  if (lines.length === 0) response.removeHeader(name)
  else response.setHeader(displayName(name), lines.length === 1 ? lines[0]! : [...lines])
}
