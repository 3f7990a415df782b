import { segmentOf } from '@sluice/core'
import type { RequestWatch } from './request-watch.ts'

/** Where a watched value stands. */
interface At {
  readonly root: string
  readonly path: readonly string[]
}

/** Methods of sessions that change or keep them: who calls them has read nothing. */
const writers: ReadonlySet<string> = new Set([
  'save',
  'set',
  'touch',
  'regenerate',
  'reload',
  'destroy',
  'delete',
  'clear',
  'resetMaxAge',
  'manuallyCommit',
  'options',
  'changed',
  'deleted',
])

/** Own objects of ours, so that what is put into an object of the application's is not a proxy. */
const originals = new WeakMap<object, object>()

/** The object itself, where it is one of ours that stands for it. */
export const original = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? (originals.get(value) ?? value) : value

/** Whether an object can be looked through: nothing that is seen in it is fixed, as in what is sealed or frozen. */
export function canBeWatched(object: object): boolean {
  if (!Object.isExtensible(object)) return false
  return Object.values(Object.getOwnPropertyDescriptors(object)).every((d) => d.configurable || !d.enumerable)
}

export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as object | null
  // Of whatever realm: what stands at the very top is an Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Stands for an object and tells of what is read in it, by the way to it. Plain objects below it are followed where
 * `follows` says so; everything else is handed out as it is.
 */
export function watchedValue(
  watch: RequestWatch,
  object: object,
  at: At,
  follows: (path: readonly string[]) => boolean,
): object {
  const children = new Map<string, object>()
  const methods = new Map<unknown, unknown>()
  const { root } = at

  const pathTo = (key: string | symbol): readonly string[] => [...at.path, segmentOf(key)]
  const handOut = (key: string | symbol, value: unknown): unknown => {
    const path = pathTo(key)
    if (!isPlain(value) || !follows(path)) return value
    // What is fixed must be given out as it is, and what is read in it is not seen.
    if (Object.getOwnPropertyDescriptor(object, key)?.configurable === false || !canBeWatched(value)) {
      watch.hidden(root, path, value)
      return value
    }
    const name = segmentOf(key)
    const known = children.get(name)
    if (known && originals.get(known) === value) return known
    const child = watchedValue(watch, value, { root, path }, follows)
    children.set(name, child)
    return child
  }
  /** On the object itself: what is private in it stays reachable. What it reads there is its own affair. */
  const method = (key: string | symbol, fn: (...args: unknown[]) => unknown): unknown => {
    const known = methods.get(fn)
    if (known) return known
    const name = String(key)
    const called = function (this: unknown, ...args: unknown[]): unknown {
      const on = this === proxy ? object : this
      if (name === 'get' && typeof args[0] === 'string') {
        const result = Reflect.apply(fn, on, args)
        watch.value(root, pathTo(args[0]), result)
        return handOut(args[0], result)
      }
      if (!writers.has(name)) watch.names(root, at.path, object)
      return Reflect.apply(fn, on, args)
    }
    methods.set(fn, called)
    return called
  }
  const read = (key: string | symbol): unknown => {
    const value = Reflect.get(object, key, object) as unknown
    const isOwn = Object.hasOwn(object, key)
    if (!isOwn && typeof value === 'function') {
      return isPlain(object) ? value : method(key, value as never)
    }
    if (!isOwn && key in Object.prototype) return value
    if (isOwn || typeof key === 'string') watch.value(root, pathTo(key), value)
    return handOut(key, value)
  }
  /** Keys that were just listed: whoever lists those that are enumerable has each of them looked at. */
  let listed = new Set<string | symbol>()

  const proxy: object = new Proxy(object, {
    get: (_, key) => read(key),
    has(_, key) {
      if (typeof key === 'string') watch.value(root, pathTo(key), Reflect.get(object, key, object))
      return Reflect.has(object, key)
    },
    getOwnPropertyDescriptor(_, key) {
      const descriptor = Reflect.getOwnPropertyDescriptor(object, key)
      const isPassedOver = listed.delete(key) && descriptor?.enumerable === false
      if (!isPassedOver)
        watch.value(root, pathTo(key), descriptor && 'value' in descriptor ? descriptor.value : undefined)
      return descriptor
    },
    ownKeys() {
      watch.names(root, at.path, object)
      const keys = Reflect.ownKeys(object)
      listed = new Set(keys)
      return keys
    },
    set(_, key, value) {
      watch.written(root, pathTo(key), before(key))
      return Reflect.set(object, key, original(value), object)
    },
    defineProperty(_, key, descriptor) {
      watch.written(root, pathTo(key), before(key))
      return Reflect.defineProperty(object, key, descriptor)
    },
    deleteProperty(_, key) {
      watch.written(root, pathTo(key), before(key))
      return Reflect.deleteProperty(object, key)
    },
  })
  const before = (key: string | symbol): unknown => Reflect.getOwnPropertyDescriptor(object, key)?.value
  originals.set(proxy, object)
  return proxy
}
