import type { ServerResponse } from 'node:http'
import { type Notes, notesFor, notesOn } from '@sluice/core'

/** What stages put something else in the place of. `flush` is `compression`'s, and others ask for it. */
const replaceable = [
  'writeHead',
  'write',
  'end',
  'flushHeaders',
  'flush',
  'setHeader',
  'appendHeader',
  'removeHeader',
  'sluice',
] as const

type Name = (typeof replaceable)[number]
type Members = Partial<Record<Name, unknown>>

const key = Symbol('sluice.methods')
const endKey = Symbol('sluice.methods.end')

const notesOf = ({ req }: Partial<ServerResponse>): Notes | undefined => req && notesOn(req)

const accessorOf = (notes: Notes | undefined, name: Name): PropertyDescriptor | undefined =>
  name === 'end' ? (notes?.[endKey] as PropertyDescriptor | undefined) : undefined

const carried = Symbol('sluice.carried')

/** Whether the prototype of a response does. */
export const carriesMethods = (response: object): boolean => carried in response

/**
 * Has the prototype that all responses of an application share carry what stages put on a response, which then lies in the notes on
 * the request.
 *
 * A framework that gives each response a prototype of the application's (Express) makes each property that is added afterwards dear:
 * V8 gives every such response a shape of its own, and each replaced method is a microsecond, a kilobyte and a half, and work for the
 * garbage collector. Who reads a method gets what is in force at that moment, and who replaces one puts it on the response, as ever.
 *
 * @param prototype - of the outermost application: those of applications mounted in it inherit from it
 */
export function carryMethods(prototype: object): void {
  const next = Object.getPrototypeOf(prototype) as Members
  const carrier = Object.create(next, { [carried]: { value: true } }) as object
  for (const name of replaceable) {
    Object.defineProperty(carrier, name, {
      configurable: true,
      get(this: object) {
        const notes = notesOf(this)
        const accessor = accessorOf(notes, name)
        if (accessor) return accessor.get!.call(this) as unknown
        return (notes?.[key] as Members | undefined)?.[name] ?? Reflect.get(next, name, this)
      },
      set(this: object, value: unknown) {
        const accessor = accessorOf(notesOf(this), name)
        if (accessor) accessor.set!.call(this, value)
        else Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
      },
    })
  }
  Object.setPrototypeOf(prototype, carrier)
}

/** Whether nothing on the way from a response to what its application carries stands in front of it. */
function isCarried(response: object, name: Name): boolean {
  for (let at: object | null = response; at; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.hasOwn(at, carried)) return true
    if (Object.hasOwn(at, name)) return false
  }
  return false
}

/**
 * Puts something in the place of a response's own.
 *
 * @returns puts back what was there
 */
export function place(response: object, name: Name, value: unknown): () => void {
  if (isCarried(response, name)) {
    const notes = notesFor((response as ServerResponse).req)
    const accessor = accessorOf(notes, name)
    if (accessor) {
      accessor.set!.call(response, value)
      return () => {}
    }
    notes[key] ??= {}
    const placed = notes[key] as Members
    const before = placed[name]
    placed[name] = value
    return () => {
      placed[name] = before
    }
  }
  const own = Object.getOwnPropertyDescriptor(response, name)
  ;(response as Members)[name] = value
  return () => {
    if (own) Object.defineProperty(response, name, own)
    else delete (response as Members)[name]
  }
}

/** The same with an accessor, which is for `end` alone. */
export function placeEnd(response: ServerResponse, accessor: PropertyDescriptor & ThisType<ServerResponse>): void {
  if (isCarried(response, 'end')) notesFor(response.req)[endKey] = accessor
  else Object.defineProperty(response, 'end', accessor)
}
