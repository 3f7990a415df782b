import { clientAddress } from './client-address.ts'
import { routeMethod } from './route-name.ts'

/**
 * How a subject is called by whoever asks for it without a request: an address, a user's id, an e-mail address, a route; of a
 * key of several parts, each of them in their order.
 */
export type NaturalKey = string | number | bigint | readonly (string | number | bigint)[]

/** A key function that can tell what it answers where a request has that natural key. */
export interface Natural {
  readonly natural: (key: string) => string
}

/** What a key function answers for a natural key. One that does not say is asked for what it answers, as it is. */
export function naturalOf(key: unknown, given: string): string {
  const { natural } = key as Partial<Natural>
  return natural ? natural(given) : given
}

/**
 * A user's name for limits, without what it was found under: `id:7` and `7` are one. Whoever is not signed in is counted by
 * address, which no user's name is.
 */
export function bareUser(name: string): string {
  return name.replace(/^(?:=|(?:id|sub|_id|uid|userId|user_id|uuid|username|login|email|string|number|bigint):)/, '')
}

export function naturalUser(given: string): string {
  const address = clientAddress(given)
  return address === undefined ? bareUser(given) : anonymous(address)
}

/** What somebody is called who is not signed in. */
export function anonymous(address: string): string {
  return `@${address}`
}

/** `GET /cities/:id`, or `/cities/:id` for GET, as the parts a route is told by. */
export function naturalRoute(given: string): readonly [method: string, pattern: string] {
  const [, method = 'GET', pattern = given] = /^\s*([A-Za-z-]+)\s+(\S.*)$/.exec(given) ?? []
  return [routeMethod(method), pattern.trim()]
}
