import type { IncomingMessage } from 'node:http'
import type { ReadObserver, RequestChange } from '@sluice/core'

type Headers = Record<string, string | string[] | undefined>

/** What lies behind watched headers: the fields themselves, and everybody who wants to know of reads. */
interface Layer {
  readonly fields: Headers
  readonly observers: readonly ReadObserver[]
}

const layerKey = Symbol('sluice.layer')

/**
 * Lets the stages behind see the request as an exchange wants them to: fields changed or hidden, and every read of a
 * field told to the observer, and to those of exchanges around this one. Only requests that go to a handler on behalf of
 * a cache are touched.
 */
export function overlayHeaders(request: IncomingMessage, change: RequestChange): void {
  const under = (request.headers as { [layerKey]?: Layer })[layerKey]
  const fields: Headers = { ...(under?.fields ?? request.headers) }
  for (const [name, value] of Object.entries(change.fields ?? {})) {
    if (value === undefined) delete fields[name]
    else fields[name] = value
  }
  const { reads } = change
  const observers = [...(under?.observers ?? []), ...(reads ? [reads] : [])]
  define(request, 'headers', observers.length ? watchHeaders({ fields, observers }) : fields)
  if (!reads) return
  // Lists of everything: whoever takes one has read all of it.
  for (const name of ['rawHeaders', 'headersDistinct'] as const) watchProperty(request, name, '*', reads)
}

function watchHeaders(layer: Layer): object {
  const note = (name: string | symbol): void => {
    // Methods of every object (`hasOwnProperty`, `toString`) are not fields, nor is what `JSON.stringify` looks for first.
    if (typeof name !== 'string' || name === 'toJSON' || name in Object.prototype) return
    for (const reads of layer.observers) reads.read(name.toLowerCase())
  }
  return new Proxy(layer.fields, {
    get(target, name, receiver) {
      if (name === layerKey) return layer
      note(name)
      return Reflect.get(target, name, receiver)
    },
    has(target, name) {
      note(name)
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor(target, name) {
      note(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys(target) {
      for (const reads of layer.observers) reads.read('*')
      return Reflect.ownKeys(target)
    },
  })
}

/**
 * Tells the observer when `object[property]` is read, and changes nothing else: the value may be there already, come
 * from a getter of the prototype, or be set later.
 *
 * @param as - the name the observer is told: `@user`
 */
export function watchProperty(object: object, property: string, as: string, reads: ReadObserver): void {
  const own = Object.getOwnPropertyDescriptor(object, property)
  if (own?.configurable === false || !Object.isExtensible(object)) return
  let set = own !== undefined && 'value' in own
  let value: unknown = set ? own!.value : undefined
  const inherited = own && !set ? own : inheritedAccessor(object, property)
  Object.defineProperty(object, property, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    get() {
      reads.read(as)
      return set ? value : inherited?.get?.call(object)
    },
    set(next: unknown) {
      if (inherited?.set && !set) inherited.set.call(object, next)
      else {
        set = true
        value = next
        // As if it had been assigned: what lists the object's properties finds it.
        if (!own) Object.defineProperty(object, property, { enumerable: true })
      }
    },
  })
}

/** {@link watchProperty} for several: property name to what the observer is told. */
export function watchProperties(object: object, as: Readonly<Record<string, string>>, reads: ReadObserver): void {
  for (const [property, told] of Object.entries(as)) watchProperty(object, property, told, reads)
}

/** Where authentication, session and cookie middleware leave what they found, on the `req` of node and Express. */
export const identityProperties: Readonly<Record<string, string>> = Object.freeze({
  user: '@user',
  auth: '@user',
  session: '@session',
  cookies: '@cookies',
  signedCookies: '@cookies',
})

function inheritedAccessor(object: object, property: string): PropertyDescriptor | undefined {
  for (let p = Object.getPrototypeOf(object); p; p = Object.getPrototypeOf(p)) {
    const found = Object.getOwnPropertyDescriptor(p, property)
    if (found) return 'value' in found ? { get: () => found.value } : found
  }
  return undefined
}

function define(object: object, property: string, value: unknown): void {
  Object.defineProperty(object, property, { configurable: true, enumerable: true, writable: true, value })
}
