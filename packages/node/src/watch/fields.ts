import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { type Notes, notesFor, notesOn, type RequestChange } from '@sluice/core'
import type { RequestWatch } from './request-watch.ts'

type Headers = Record<string, string | string[] | undefined>

interface Layer {
  readonly fields: Headers
  readonly watch: RequestWatch
  /** What is handed out. Made when somebody takes the fields: many handlers look at none. */
  seen: Headers | undefined
  /** Which of the fields were read: who has read all that are there has listed them. */
  read: Set<string> | undefined
  /** Somebody has taken the fields and not read any: their names, perhaps, which nobody can notice. */
  taken: boolean
  /** It is looked at `taken` before what was read is judged. */
  judged: boolean
}

/** By what is handed out. */
const layers = new WeakMap<object, Layer>()

const layerKey = Symbol('sluice.fields')

const layerIn = (notes: Notes | undefined): Layer | undefined => notes?.[layerKey] as Layer | undefined

/**
 * Lets the stages behind see the request as an exchange wants them to: fields changed or hidden, and every read of a
 * field told. Only requests that go to a handler on behalf of an exchange are touched.
 */
export function overlayHeaders(request: IncomingMessage, change: RequestChange, watch: RequestWatch | undefined): void {
  const on = layerIn(notesOn(request))
  const there = on ? on.fields : request.headers
  const under = on ?? layers.get(there)
  const fields: Headers = { ...(under?.fields ?? there) }
  const given = Object.entries(change.fields ?? {})
  for (const [name, value] of given) {
    if (value !== undefined) fields[name] = value
    // An object that something was deleted from is slow for good, and mostly there is nothing to delete.
    else if (name in fields) delete fields[name]
  }
  const told = watch ?? under?.watch
  if (told) {
    notesFor(request)[layerKey] = { fields, watch: told, seen: undefined, read: undefined, taken: false, judged: false }
    Object.defineProperty(request, 'headers', taking)
  } else define(request, 'headers', fields)
  if (!watch) return
  // Lists of everything: whoever takes one has read all of it.
  const hidden = change.cookies ? new Set(given.map(([name]) => name)) : none
  for (const name of ['rawHeaders', 'headersDistinct'] as const) watchList(request, name, { watch, hidden, fields })
}

/**
 * An accessor that notices who takes the fields without reading one of them: whether a field is there, and what all their
 * names are, can be found out in ways that no accessor and no prototype sees. It then counts as if all had been read.
 *
 * One for all requests: with an accessor of its own each of them would be an object of its own shape, and slow for
 * everybody who has to do with it.
 */
const taking: PropertyDescriptor & ThisType<IncomingMessage> = {
  configurable: true,
  enumerable: true,
  get() {
    const layer = layerIn(notesOn(this))!
    const { watch } = layer
    // What the cache answers itself: that does not come out again.
    if (watch.answers) return layer.fields
    const seen = seenOf(layer)
    if (watch.trusts) return seen
    unread(layer)
    layer.taken = true
    if (!layer.judged) {
      layer.judged = true
      watch.beforeJudging(() => unread(layer))
    }
    return seen
  },
  set(next: unknown) {
    if (Object.hasOwn(this, 'headers')) notesFor(this)[layerKey] = undefined
    define(this, 'headers', next)
  },
}

function unread(layer: Layer): void {
  if (layer.taken) layer.watch.field('*')
  layer.taken = false
}

function seenOf(layer: Layer): Headers {
  layer.seen ??= watchedFields(layer)
  return layer.seen
}

/** The fields of a request as it hands them out, taken by ourselves. */
export function headersOf(request: IncomingMessage): Headers {
  const layer = layerIn(notesOn(request))
  return layer ? seenOf(layer) : request.headers
}

/** The fields of a request, behind those that are watched. */
export function fieldsBehind(request: IncomingMessage, notes: Notes | undefined): Headers {
  return layerIn(notes)?.fields ?? request.headers
}

/**
 * An object with an accessor for each field that is there, and a stand-in for its prototype that notices those that are
 * not. No proxy itself, for nobody could clone one (`structuredClone`).
 */
function watchedFields(layer: Layer): Headers {
  const watched = Object.create(absentFields(layer)) as Headers
  layers.set(watched, layer)
  for (const name of Object.keys(layer.fields)) defineField(watched, layer, name)
  return watched
}

function defineField(watched: Headers, layer: Layer, name: string): void {
  const { fields, watch } = layer
  Object.defineProperty(watched, name, {
    configurable: true,
    enumerable: true,
    get() {
      noteField(layer, name)
      layer.read ??= new Set()
      const { read } = layer
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

interface List extends Listed {
  /** What is behind: where the request is watched twice, the first watch's. */
  readonly own: PropertyDescriptor | undefined
  readonly under: List | undefined
  shown: Lists | undefined
}

const lists = { rawHeaders: listAccessor('rawHeaders'), headersDistinct: listAccessor('headersDistinct') }

function watchList(request: IncomingMessage, name: keyof typeof lists, listed: Listed): void {
  const { key, accessor } = lists[name]
  const notes = notesFor(request)
  const own = Object.getOwnPropertyDescriptor(request, name)
  const under = own?.get === accessor.get ? (notes[key] as List) : undefined
  notes[key] = { ...listed, own: under ? undefined : own, under, shown: undefined } satisfies List
  Object.defineProperty(request, name, accessor)
}

/** One for all requests, as that of the fields is. */
function listAccessor(name: 'rawHeaders' | 'headersDistinct') {
  const key = Symbol(`sluice.${name}`)
  const show = (request: IncomingMessage, list: List): Lists => {
    const { watch, hidden, fields } = list
    watch.field('*')
    list.shown ??= hidden.size === 0 ? behind(request, list) : withFields(behind(request, list), hidden, fields)
    return list.shown
  }
  const behind = (request: IncomingMessage, { watch, own, under }: List): Lists =>
    watch.silently(() => {
      if (under) return show(request, under)
      if (own) return (own.get ? own.get.call(request) : own.value) as Lists
      return Reflect.get(Object.getPrototypeOf(request) as object, name, request) as Lists
    })
  const accessor: PropertyDescriptor & ThisType<IncomingMessage> = {
    configurable: true,
    enumerable: name === 'rawHeaders',
    get() {
      return show(this, notesOn(this)![key] as List)
    },
    set(next: unknown) {
      define(this, name, next)
    },
  }
  return { key, accessor }
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
