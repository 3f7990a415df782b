import { segmentOf } from '@sluice/core'
import { asksRequest } from './passport.ts'
import type { RequestWatch } from './request-watch.ts'
import { canBeWatched, isPlain, original, watchedValue } from './values.ts'

type Key = string | symbol

/** What is known of one of a framework's objects. */
export interface KnownObject {
  /** As users name it: `req`, `ctx`, `ctx.request`, `request`, `request.raw`. */
  readonly root: string
  /** What the framework keeps on it for itself, and what of the request is in the key. */
  readonly own: ReadonlySet<Key>
  /** Getters whose value counts, and not what it is made of. */
  readonly derived: ReadonlySet<string>
  /** The client's address. */
  readonly address: ReadonlySet<string>
  /** What of the request the cache answers itself (`fresh`). */
  readonly delivery: ReadonlySet<string>
  /** It is the answer's: what is put there while the handler runs is the handler's own. */
  readonly answers?: boolean | undefined
  /** Values that stand for something with terms of its own (`cookies`, `query`). */
  readonly stands: Readonly<Record<string, (watch: RequestWatch, value: unknown) => unknown>>
}

/** Below these names the way is followed to the value that was read. */
const followed: ReadonlySet<string> = new Set(['user', 'auth', 'session'])

const stateKey = Symbol('sluice.watched')

interface State {
  readonly watch: RequestWatch
  readonly known: KnownObject
  readonly wraps: Map<Key, { readonly of: unknown; readonly wrap: unknown }>
}

type Stated = { [stateKey]?: State }

/**
 * Watches what is read on an object that a framework makes for each request, and what is put on it: what is there already
 * through accessors in its place, and what is not there (yet) through a stand-in for its prototype. The object itself stays
 * what it is: its private parts, its identity, and which names are in it.
 */
export function watchObject(watch: RequestWatch, object: object, known: KnownObject): void {
  const again = (object as Stated)[stateKey] !== undefined
  if (!again) {
    if (!Object.isExtensible(object)) {
      watch.hidden(known.root, [], object)
      return
    }
    const state: State = { watch, known, wraps: new Map() }
    Object.defineProperty(object, stateKey, { value: state, configurable: true })
    Object.setPrototypeOf(object, standIn(Object.getPrototypeOf(object) as object))
  }
  for (const key of Reflect.ownKeys(object)) if (isForeign(key, known)) watchOwn(watch, object, key)
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
  const state = (object as Stated)[stateKey]!
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
  const { root } = (object as Stated)[stateKey]!.known
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
  const { watch, known, wraps } = (object as Stated)[stateKey]!
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
const standInsMade = new WeakSet<object>()

function standIn(prototype: object): object {
  if (standInsMade.has(prototype)) return prototype
  let made = standIns.get(prototype)
  if (!made) {
    made = makeStandIn(prototype)
    standIns.set(prototype, made)
    standInsMade.add(made)
  }
  return made
}

function makeStandIn(prototype: object): object {
  const stateOf = (receiver: unknown): State | undefined =>
    typeof receiver === 'object' && receiver !== null && Object.hasOwn(receiver, stateKey)
      ? (receiver as Stated)[stateKey]
      : undefined
  // Below it the prototype itself, so that `instanceof` finds it.
  return new Proxy(Object.create(prototype) as object, {
    get(target, key, receiver: object) {
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
