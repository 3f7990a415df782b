import { segmentOf } from '@sluice/core'
import { watchFieldsBelow } from './fields/overlay.ts'
import { asksRequest } from './passport.ts'
import type { RequestWatch } from './request-watch.ts'
import { watchSetFieldsBelow } from './set-fields.ts'
import { type Key, type KnownObject, type State, stateKey, stateOf } from './state.ts'
import { canBeWatched, isPlain, original, watchedValue } from './values.ts'

/** Below these names the way is followed to the value that was read. */
const followed: ReadonlySet<string> = new Set(['user', 'auth', 'session'])

/**
 * Watches what is read on an object that a framework makes for each request, and what is put on it: what is there already
 * through accessors in its place, and what is not there (yet) through a stand-in for its prototype. The object itself stays
 * what it is: its private parts, its identity, and which names are in it.
 */
export function watchObject(watch: RequestWatch, object: object, known: KnownObject): void {
  if (stateOf(object)) lookAfter(object)
  else {
    if (!Object.isExtensible(object)) {
      watch.hidden(known.root, [], object)
      return
    }
    const prototype = Object.getPrototypeOf(object) as object
    const behind = stoodFor(object) ?? prototype
    const state: State = { watch, known, wraps: new Map(), prototype, behind, fields: undefined }
    Object.defineProperty(object, stateKey, { value: state, configurable: true })
    if (behind === prototype) Object.setPrototypeOf(object, standIn(prototype))
    watch.beforeJudging(() => lookAfter(object))
  }
  for (const key of Reflect.ownKeys(object)) if (isForeign(key, known)) watchOwn(watch, object, key)
}

/**
 * Somebody may have given an object another prototype while it was watched, as an Express application does in which another is
 * mounted. What was read since is not known, so that answer is not stored. From then on the stand-in is behind the prototype that
 * both have in common, which is that of the outer application.
 */
function lookAfter(object: object): void {
  if (stoodFor(object)) return
  const { watch, known, prototype } = stateOf(object)!
  watch.hidden(known.root, [], object)
  const now = Object.getPrototypeOf(object) as object
  const shared = Object.prototype.isPrototypeOf.call(prototype, object) ? prototype : now
  // Those of node, of a framework and of a class are not one application's.
  const isOne = !Object.hasOwn(shared, 'constructor') && Object.isExtensible(shared)
  const stood = isOne ? shared : object
  Object.setPrototypeOf(stood, standIn(Object.getPrototypeOf(stood) as object))
}

/** The prototype that is stood in for, where one of an object's is. */
function stoodFor(object: object): object | undefined {
  for (let at = Object.getPrototypeOf(object) as object | null; at; at = Object.getPrototypeOf(at) as object | null) {
    const prototype = standInsMade.get(at)
    if (prototype) return prototype
  }
  return undefined
}

const isForeign = (key: Key, { own }: KnownObject): boolean => !own.has(key) && key !== stateKey && !isOfLibrary(key)

/** Symbols that frameworks, and what belongs to them, keep things under. */
function isOfLibrary(key: Key): boolean {
  if (typeof key === 'string') return false
  const name = key.description ?? ''
  return (
    /^(?:sluice\.|fastify\.|nodejs\.|router\.|context#|(?:get )?contextSession)/.test(name) || nodeSymbols.has(name)
  )
}

/** Those of node's that appear late, or on HTTP/2 requests alone. */
const nodeSymbols: ReadonlySet<string> = new Set([
  'kUniqueHeaders',
  'kHeadersDistinct',
  'kTrailersDistinct',
  'kError',
  'kDestroyed',
  'state',
  'headers',
  'rawHeaders',
  'trailers',
  'rawTrailers',
  'stream',
  'aborted',
])

/** Puts an accessor in the place of a property that somebody has added. */
function watchOwn(watch: RequestWatch, object: object, key: Key): void {
  const descriptor = Object.getOwnPropertyDescriptor(object, key)!
  const state = stateOf(object)!
  if (descriptor.get && watchers.has(descriptor.get)) return
  if (!descriptor.configurable) {
    watchFixed(watch, object, key)
    return
  }
  let slot: PropertyDescriptor = descriptor
  const valueNow = (): unknown =>
    'value' in slot ? slot.value : watch.silently(() => slot.get?.call(object) as unknown)
  const get = (): unknown => noteRead(object, key, valueNow())
  watchers.add(get)
  Object.defineProperty(object, key, {
    configurable: true,
    enumerable: descriptor.enumerable === true,
    get,
    set(next: unknown) {
      watch.written(state.known.root, [segmentOf(key)], valueNow())
      if (slot.set) slot.set.call(object, original(next))
      else slot = { value: original(next) }
    },
  })
}

/** One that cannot be replaced: it counts as read, as it is now and as it is in the end. */
function watchFixed(watch: RequestWatch, object: object, key: Key): void {
  const { root } = stateOf(object)!.known
  const path = [segmentOf(key)]
  const look = (): void => {
    let value: unknown
    try {
      value = watch.silently(() => (object as Record<Key, unknown>)[key])
    } catch {
      watch.hidden(root, path, undefined)
      return
    }
    if ((typeof value === 'object' && value !== null) || typeof value === 'function') watch.hidden(root, path, value)
    else watch.value(root, path, value)
  }
  look()
  watch.beforeJudging(look)
}

/** Getters of our own. */
const watchers = new WeakSet<object>()

/** Tells of a read; what is handed out is watched further where there is something to follow. */
function noteRead(object: object, key: Key, value: unknown): unknown {
  const { watch, known, wraps } = stateOf(object)!
  const name = typeof key === 'string' ? key : undefined
  const standsFor = name !== undefined && Object.hasOwn(known.stands, name) ? known.stands[name] : undefined
  const wrapped = (make: () => unknown): unknown => {
    const there = wraps.get(key)
    if (there && there.of === value) return there.wrap
    const wrap = make()
    wraps.set(key, { of: value, wrap })
    return wrap
  }
  if (standsFor) return wrapped(() => standsFor(watch, value))
  if (name !== undefined && known.address.has(name)) {
    watch.field('@ip')
    return value
  }
  if (name !== undefined && asksRequest(name, value)) return value
  const path = [segmentOf(key)]
  if (known.answers && watch.wrote(known.root, path)) return value
  watch.value(known.root, path, value)
  if (name === undefined || !followed.has(name) || typeof value !== 'object' || value === null) return value
  // A user of a class of its own is somebody; a session of one is what all sessions are.
  if (!isPlain(value) && name !== 'session') return value
  if (!canBeWatched(value)) {
    watch.hidden(known.root, path, value)
    return value
  }
  return wrapped(() => watchedValue(watch, value, { root: known.root, path }, () => true))
}

/** One for each prototype there is: the request it is asked for is told by the receiver. */
const standIns = new WeakMap<object, object>()
/** By what stands in. */
const standInsMade = new WeakMap<object, object>()

function standIn(prototype: object): object {
  if (standInsMade.has(prototype)) return prototype
  let made = standIns.get(prototype)
  if (!made) {
    made = makeStandIn(prototype)
    standIns.set(prototype, made)
    standInsMade.set(made, prototype)
  }
  return made
}

function makeStandIn(prototype: object): object {
  // Below it the prototype itself, so that `instanceof` finds it.
  const below = Object.create(prototype) as object
  const handled = new Set<Key>([...watchFieldsBelow(below, prototype), ...watchSetFieldsBelow(below, prototype)])
  return new Proxy(below, {
    get(target, key, receiver: object) {
      if (handled.has(key)) return Reflect.get(target, key, receiver) as unknown
      const state = stateOf(receiver)
      // Nearly all there is to get: methods of node's and of the framework's, a dozen for each answer.
      if (state?.known.own.has(key)) return state.watch.trusted(target, key, receiver)
      if (!state || isOfLibrary(key) || key in Object.prototype) return Reflect.get(target, key, receiver) as unknown
      const { watch, known } = state
      const name = typeof key === 'string' ? key : undefined
      if (name !== undefined) {
        if (known.delivery.has(name)) return watch.answering(() => Reflect.get(target, key, receiver) as unknown)
        if (known.address.has(name)) {
          watch.field('@ip')
          return watch.silently(() => Reflect.get(target, key, receiver) as unknown)
        }
        if (known.derived.has(name) || Object.hasOwn(known.stands, name)) {
          return noteRead(
            receiver,
            key,
            watch.silently(() => Reflect.get(target, key, receiver) as unknown),
          )
        }
      }
      const found = inherited(prototype, key)
      if (!found) {
        // What is not there for this request may be there for another. Of symbols that is nobody's business but a library's.
        if (name !== undefined) noteRead(receiver, key, undefined)
        return undefined
      }
      // Methods read what they read; what is the same for all requests is no input.
      if ('value' in found) return negotiating(watch, name, found.value, receiver)
      return noteRead(
        receiver,
        key,
        watch.silently(() => Reflect.get(target, key, receiver) as unknown),
      )
    },
    has(target, key) {
      return Reflect.has(target, key)
    },
    set(target, key, value: unknown, receiver: object) {
      const state = stateOf(receiver)
      const found = inherited(prototype, key)
      if (!state || found?.set) return Reflect.set(target, key, original(value), receiver)
      const { watch, known } = state
      Object.defineProperty(receiver, key, {
        value: original(value),
        writable: true,
        enumerable: true,
        configurable: true,
      })
      if (!isForeign(key, known)) return true
      // A logger keeps the address for the line it is going to write.
      if (key === '_remoteAddress') watch.addressKept('ip' in prototype ? 1 : 3)
      watch.written(known.root, [segmentOf(key)], found ? (found.value as unknown) : undefined)
      watchOwn(watch, receiver, key)
      return true
    },
  })
}

/** Content negotiation keeps the fields it may look at later. */
function negotiating(watch: RequestWatch, name: string | undefined, value: unknown, on: object): unknown {
  if (typeof value !== 'function' || name?.startsWith('accepts') !== true) return value
  return (...args: unknown[]): unknown => watch.trusting(() => Reflect.apply(value, on, args) as unknown)
}

function inherited(prototype: object, key: Key): PropertyDescriptor | undefined {
  for (let at: object | null = prototype; at; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, key)
    if (found) return found
  }
  return undefined
}
