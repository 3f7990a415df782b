import { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import { inspect } from 'node:util'
import { type Notes, notesFor, notesOn, type RequestChange } from '@sluice/core'
import { layBehind } from '../../carrier.ts'
import type { RequestWatch } from '../request-watch.ts'
import { stateOf } from '../state.ts'
import { lists, watchList } from './lists.ts'
import { define, type Headers, takesBelow } from './on-request.ts'

interface Layer {
  readonly fields: Headers
  /** `undefined`: nobody wants to know. */
  readonly watch: RequestWatch | undefined
  /** What is handed out. Made when somebody takes the fields: many handlers look at none. */
  seen: Headers | undefined
  /** Which of the fields were read: who has read all that are there has listed them. */
  read: Set<string> | undefined
  /** Somebody has taken the fields and not read any: their names, perhaps, which nobody can notice. */
  taken: boolean
  /** It is looked at `taken` before what was read is judged. */
  judged: boolean
}

type WatchedLayer = Layer & { readonly watch: RequestWatch }

const isWatched = (layer: Layer): layer is WatchedLayer => layer.watch !== undefined

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
  const below = takesBelow(request, 'headers')
  if (told || below) {
    notesFor(request)[layerKey] = { fields, watch: told, seen: undefined, read: undefined, taken: false, judged: false }
    if (!below) Object.defineProperty(request, 'headers', taking)
  } else define(request, 'headers', fields)
  if (!watch) return
  // Lists of everything: whoever takes one has read all of it.
  const hidden = change.cookies ? new Set(given.map(([name]) => name)) : none
  for (const name of ['rawHeaders', 'headersDistinct'] as const) watchList(request, name, { watch, hidden, fields })
}

/**
 * Puts the accessors that notice who takes the fields on what stands in for the prototype of a request.
 *
 * @returns what it answers there itself
 */
export function watchFieldsBelow(below: object, prototype: object): readonly string[] {
  const isRequests = [IncomingMessage.prototype, Http2ServerRequest.prototype].some(
    (made) => made === prototype || Object.prototype.isPrototypeOf.call(made, prototype),
  )
  if (!isRequests) return []
  const accessors = { headers: { key: layerKey, accessor: taking }, ...lists }
  for (const [name, { key, accessor }] of Object.entries(accessors)) {
    const { get, set } = accessor
    Object.defineProperty(below, name, {
      configurable: true,
      get(this: IncomingMessage) {
        return notesOn(this)?.[key] ? get!.call(this) : (Reflect.get(prototype, name, this) as unknown)
      },
      ...(set && { set }),
    })
  }
  return Object.keys(accessors)
}

/**
 * Has the prototype that all requests of an application share carry the accessors, so that nothing needs to be put on a request.
 *
 * @param prototype - of the outermost application: those of applications mounted in it inherit from it
 */
export function carryFields(prototype: object): void {
  const next = Object.getPrototypeOf(prototype) as object
  watchFieldsBelow(layBehind(prototype), next)
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
    // What the cache answers itself: that does not come out again.
    if (!isWatched(layer) || layer.watch.answers) return layer.fields
    const { watch } = layer
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
    // Not of an object that has a request for its prototype.
    if (stateOf(this) || ['headers', 'rawHeaders'].some((name) => Object.hasOwn(this, name)))
      notesFor(this)[layerKey] = undefined
    define(this, 'headers', next)
  },
}

function unread(layer: WatchedLayer): void {
  if (layer.taken) layer.watch.field('*')
  layer.taken = false
}

function seenOf(layer: WatchedLayer): Headers {
  layer.seen ??= watchedFields(layer)
  return layer.seen
}

/** The fields of a request as it hands them out, taken by ourselves. */
export function headersOf(request: IncomingMessage): Headers {
  const layer = layerIn(notesOn(request))
  return layer && isWatched(layer) ? seenOf(layer) : request.headers
}

/** The fields of a request, behind those that are watched. */
export function fieldsBehind(request: IncomingMessage, notes: Notes | undefined): Headers {
  return layerIn(notes)?.fields ?? request.headers
}

/**
 * An object with an accessor for each field that is there, and a stand-in for its prototype that notices those that are
 * not. No proxy itself, for nobody could clone one (`structuredClone`).
 */
function watchedFields(layer: WatchedLayer): Headers {
  const watched = Object.create(absentFields(layer)) as Headers
  layers.set(watched, layer)
  for (const name of Object.keys(layer.fields)) defineField(watched, layer, name)
  return watched
}

function defineField(watched: Headers, layer: WatchedLayer, name: string): void {
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
function noteField(layer: WatchedLayer, name: string): void {
  const { watch, fields } = layer
  if (!watch.trusts) layer.taken = false
  if (!watch.wrote('req', ['headers', name])) watch.field(name)
  else watch.value('req', ['headers', name], fields[name])
}

/** Node has names in lower case, so no other name can be one of a field that a client sends. */
const canBeField = (name: string | symbol): name is string => typeof name === 'string' && name === name.toLowerCase()

function absentFields(layer: WatchedLayer): object {
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

const none: ReadonlySet<string> = new Set()
