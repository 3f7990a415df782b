import type { ServerResponse } from 'node:http'

const askKey = Symbol('sluice.headersSent')

type Asked = ServerResponse & { [askKey]?: () => boolean }

/**
 * One accessor for all responses: with a getter of its own each of them would be an object of its own shape. Even so an
 * accessor makes a response slow to use and keeps it from being collected early. Measured on a hit: as much again as all
 * the rest of what an exchange costs.
 */
const shared: PropertyDescriptor & { get(): boolean } = {
  configurable: true,
  enumerable: true,
  get(this: Asked): boolean {
    return this[askKey]!()
  },
}

/** Lets `response.headersSent` be true from when `isSent` says so, beside what it was true for before. */
export function alsoSentWhen(response: ServerResponse, isSent: () => boolean): void {
  const asked = response as Asked
  const own = Object.getOwnPropertyDescriptor(response, 'headersSent')
  if (own && own.get !== shared.get) {
    // Somebody else's, who may ask ours in turn: that one stays as it is.
    const get = (): boolean => isSent() || own.get?.call(response) === true
    Object.defineProperty(response, 'headersSent', { configurable: true, enumerable: true, get })
    return
  }
  const before = asked[askKey] ?? (() => Reflect.get(Object.getPrototypeOf(response), 'headersSent', response) === true)
  asked[askKey] = () => isSent() || before()
  if (!own) Object.defineProperty(response, 'headersSent', shared)
}
