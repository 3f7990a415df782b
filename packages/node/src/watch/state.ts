import type { RequestWatch } from './request-watch.ts'

export type Key = string | symbol

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

/** The methods of a response that tell of its fields, noticed. */
export interface SeenFields {
  getHeader(name: string): unknown
  getHeaders(): object
  hasHeader(name: string): boolean
  getHeaderNames(): string[]
  /** Unnoticed. */
  all(): object
}

/** What there is to know of one object that is watched. */
export interface State {
  readonly watch: RequestWatch
  readonly known: KnownObject
  readonly wraps: Map<Key, { readonly of: unknown; readonly wrap: unknown }>
  /** What it had before. */
  readonly prototype: object
  /** The prototype that is stood in for: the way to what is not watched. */
  readonly behind: object
  /** Of a response: the fields that are set on it. */
  fields: SeenFields | undefined
}

export const stateKey = Symbol('sluice.watched')

/** `undefined` of an object that is not watched, also of one that has a watched one for its prototype. */
export function stateOf(object: unknown): State | undefined {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, stateKey)
    ? (object as { [stateKey]?: State })[stateKey]
    : undefined
}
