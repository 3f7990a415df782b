import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import type { RequestChange } from '@sluice/core'
import type { RequestWatch } from './request-watch.ts'

type Headers = Record<string, string | string[] | undefined>

interface Layer {
  readonly fields: Headers
  readonly watch: RequestWatch
  /** Which of the fields were read: who has read all that are there has listed them. */
  readonly read: Set<string>
  /** Somebody has taken the fields and not read any: their names, perhaps, which nobody can notice. */
  taken: boolean
}

const layers = new WeakMap<object, Layer>()

/**
 * Lets the stages behind see the request as an exchange wants them to: fields changed or hidden, and every read of a
 * field told. Only requests that go to a handler on behalf of an exchange are touched.
 */
export function overlayHeaders(request: IncomingMessage, change: RequestChange, watch: RequestWatch | undefined): void {
  const there = headersOf(request)
  const under = layers.get(there)
  const fields: Headers = { ...(under?.fields ?? there) }
  const given = Object.entries(change.fields ?? {})
  for (const [name, value] of given) {
    if (value === undefined) delete fields[name]
    else fields[name] = value
  }
  const told = watch ?? under?.watch
  if (told) defineTaken(request, watchedFields(fields, told))
  else define(request, 'headers', fields)
  if (!watch) return
  // Lists of everything: whoever takes one has read all of it.
  const hidden = change.cookies ? new Set(given.map(([name]) => name)) : none
  for (const name of ['rawHeaders', 'headersDistinct'] as const) watchList(request, name, { watch, hidden, fields })
}

/**
 * An accessor that notices who takes the fields without reading one of them: whether a field is there, and what all their
 * names are, can be found out in ways that no accessor and no prototype sees. It then counts as if all had been read.
 */
function defineTaken(request: IncomingMessage, watched: Headers): void {
  const layer = layers.get(watched)!
  const { watch } = layer
  const unread = (): void => {
    if (layer.taken) watch.field('*')
    layer.taken = false
  }
  watch.beforeJudging(unread)
  watchedHeaders.set(request, watched)
  Object.defineProperty(request, 'headers', {
    configurable: true,
    enumerable: true,
    get() {
      if (watch.trusts) return watched
      unread()
      layer.taken = true
      return watched
    },
    set(next: unknown) {
      watchedHeaders.delete(request)
      define(request, 'headers', next)
    },
  })
}

const watchedHeaders = new WeakMap<object, Headers>()

/** The fields of a request as it hands them out, taken by ourselves. */
export const headersOf = (request: IncomingMessage): Headers => watchedHeaders.get(request) ?? request.headers

/** The fields of a request, behind those that are watched. */
export function fieldsBehind(request: IncomingMessage): Headers {
  const watched = watchedHeaders.get(request)
  return watched ? layers.get(watched)!.fields : request.headers
}

/**
 * An object with an accessor for each field that is there, and a stand-in for its prototype that notices those that are
 * not. No proxy itself, for nobody could clone one (`structuredClone`).
 */
function watchedFields(fields: Headers, watch: RequestWatch): Headers {
  const layer: Layer = { fields, watch, read: new Set(), taken: false }
  const watched = Object.create(absentFields(layer)) as Headers
  layers.set(watched, layer)
  for (const name of Object.keys(fields)) defineField(watched, layer, name)
  return watched
}

function defineField(watched: Headers, layer: Layer, name: string): void {
  const { fields, watch, read } = layer
  Object.defineProperty(watched, name, {
    configurable: true,
    enumerable: true,
    get() {
      noteField(layer, name)
      if (!read.has(name)) {
        read.add(name)
        // Spread, entries, JSON: each of them takes one after the other.
        if (read.size > 1 && read.size === Object.keys(watched).length) watch.field('*')
      }
      return fields[name]
    },
    set(value: string) {
      watch.written('req', ['headers', name], fields[name])
      fields[name] = value
    },
  })
}

/** What somebody has put there while the handler ran is no field of the request. */
function noteField(layer: Layer, name: string): void {
  const { watch, fields } = layer
  if (!watch.trusts) layer.taken = false
  if (!watch.wrote('req', ['headers', name])) watch.field(name)
  else watch.value('req', ['headers', name], fields[name])
}

/** Node has names in lower case, so no other name can be one of a field that a client sends. */
const canBeField = (name: string | symbol): name is string => typeof name === 'string' && name === name.toLowerCase()

function absentFields(layer: Layer): object {
  const { watch, fields } = layer
  const listed = (): Headers => {
    watch.field('*')
    return fields
  }
  return new Proxy(Object.create(Object.prototype) as object, {
    get(target, name, receiver) {
      if (!watch.trusts) layer.taken = false
      if (name === inspect.custom) return listed
      if (canBeField(name)) watch.field(name)
      return Reflect.get(target, name, receiver) as unknown
    },
    has(target, name) {
      if (!watch.trusts) layer.taken = false
      if (canBeField(name)) watch.field(name)
      return Reflect.has(target, name)
    },
    set(target, name, value: string, receiver: Headers) {
      if (typeof name === 'symbol') return Reflect.set(target, name, value, receiver)
      watch.written('req', ['headers', name], undefined)
      fields[name] = value
      defineField(receiver, layer, name)
      return true
    },
    // `for … in` comes here too.
    ownKeys(target) {
      watch.field('*')
      return Reflect.ownKeys(target)
    },
  })
}

interface Listed {
  readonly watch: RequestWatch
  /** Fields that the list must not show as they were sent. */
  readonly hidden: ReadonlySet<string>
  readonly fields: Headers
}

function watchList(request: IncomingMessage, name: 'rawHeaders' | 'headersDistinct', listed: Listed): void {
  const { watch, hidden, fields } = listed
  const own = Object.getOwnPropertyDescriptor(request, name)
  const inherited: object = Object.getPrototypeOf(request) as object
  const behind = (): Lists =>
    watch.silently(
      () => (own ? (own.get ? own.get.call(request) : own.value) : Reflect.get(inherited, name, request)) as Lists,
    )
  let shown: Lists | undefined
  Object.defineProperty(request, name, {
    configurable: true,
    enumerable: name === 'rawHeaders',
    get() {
      watch.field('*')
      shown ??= hidden.size === 0 ? behind() : withFields(behind(), hidden, fields)
      return shown
    },
    set(next: unknown) {
      define(request, name, next)
    },
  })
}

type Lists = string[] | Record<string, string[]>

function withFields(list: Lists, hidden: ReadonlySet<string>, fields: Headers): Lists {
  const lines = [...hidden].flatMap((name) =>
    fields[name] === undefined ? [] : [[name, String(fields[name])] as const],
  )
  if (!Array.isArray(list)) {
    const kept = Object.entries(list).filter(([name]) => !hidden.has(name))
    return Object.fromEntries([...kept, ...lines.map(([name, value]) => [name, [value]] as const)])
  }
  const kept: string[] = []
  for (let i = 0; i < list.length; i += 2) {
    if (!hidden.has(list[i]!.toLowerCase())) kept.push(list[i]!, list[i + 1]!)
  }
  return [...kept, ...lines.flat()]
}

const none: ReadonlySet<string> = new Set()

function define(object: object, property: string, value: unknown): void {
  Object.defineProperty(object, property, { configurable: true, enumerable: true, writable: true, value })
}
