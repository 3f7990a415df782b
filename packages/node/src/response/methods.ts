import type { ServerResponse } from 'node:http'
import { type Notes, notesFor, notesOn } from '@sluice/core'
import { carries, layBehind } from '../carrier.ts'

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

/**
 * Has the prototype that all responses of an application share carry what stages put on a response, which then lies in the notes on
 * the request. Who reads a method gets what is in force at that moment, and who replaces one puts it on the response, as ever.
 *
 * @param prototype - of the outermost application: those of applications mounted in it inherit from it
 */
export function carryMethods(prototype: object): void {
  const next = Object.getPrototypeOf(prototype) as Members
  const carrier = layBehind(prototype)
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
}

/** Puts something in the place of a response's own. */
export function place(response: object, name: Name, value: unknown): void {
  const accessor = accessorOf(notesOf(response), name)
  if (!carries(response, name)) (response as Members)[name] = value
  else if (accessor) accessor.set!.call(response, value)
  else placedOn(response)[name] = value
}

/** The same. @returns puts back what was there */
export function placeForNow(response: object, name: Exclude<Name, 'end'>, value: unknown): () => void {
  if (carries(response, name)) {
    const placed = placedOn(response)
    const before = placed[name]
    placed[name] = value
    // Whoever has put something on the response since keeps it.
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

/** What was put in the place of what an application carries for this response. */
function placedOn(response: object): Members {
  const notes = notesFor((response as ServerResponse).req)
  notes[key] ??= {}
  return notes[key] as Members
}

/** The same with an accessor, which is for `end` alone. */
export function placeEnd(response: ServerResponse, accessor: PropertyDescriptor & ThisType<ServerResponse>): void {
  if (carries(response, 'end')) notesFor(response.req)[endKey] = accessor
  else Object.defineProperty(response, 'end', accessor)
}
