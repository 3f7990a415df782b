import { reasons } from '../cache/reasons.ts'

/** Stands for all names that there is no room for. */
export const other = '(other)'

/** Names that come from outside, of which so many are told apart and no more. */
export class BoundedNames {
  readonly #known = new Set<string>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  /** The name itself, or what stands for all that there is no room for. */
  admit(name: string): string {
    if (this.#known.has(name)) return name
    if (this.#known.size >= this.#most) return other
    this.#known.add(name)
    return name
  }
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'TRACE', 'CONNECT'])

/** A method that everybody knows. Clients may send any word. */
export const methodLabel = (method: string): string => (methods.has(method) ? method : other)

/** The words of `Cache-Status; fwd=` (RFC 9211 §2.2). */
const forwarded = ['bypass', 'method', 'uri-miss', 'vary-miss', 'miss', 'request', 'stale', 'partial']
const words = new Set([...Object.keys(reasons), ...forwarded])

/** Which inputs a handler has read, and what it says with `skip('…')`, are words without number: they are joined. */
export function reasonLabel(reason: string | undefined): string {
  if (reason === undefined || words.has(reason)) return reason ?? ''
  return reason.startsWith('unkeyed-') ? 'unkeyed' : other
}
