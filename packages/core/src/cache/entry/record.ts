/** A stored response. Immutable: a revalidation makes a new one. Times are `Clock.now()` milliseconds. */
export interface CacheRecord {
  readonly kind: 'record'
  readonly status: number
  /** Flat list of alternating names (as they are sent) and values, without the fields a hit computes afresh. */
  readonly fields: readonly string[]
  /** The representation, under each content coding it is held in; `identity` for none. At least one. */
  readonly forms: readonly StoredForm[]
  /** When the answer was generated: the `Date` field (RFC 9110 §6.6.1), milliseconds since the epoch. */
  readonly dateMs: number
  /** When it was stored or last revalidated. */
  readonly storedAt: number
  /** Its age when it was stored (RFC 9111 §4.2.3 corrected_initial_age). */
  readonly initialAgeMs: number
  /** From here on it is stale. `storedAt` itself for one that must be revalidated each time (`no-cache`). */
  readonly staleAt: number
  /** Until here it may be served while it is refreshed (RFC 5861 §3). */
  readonly whileRevalidateUntil: number
  /** Until here it may be served in place of an error (RFC 5861 §4). */
  readonly ifErrorUntil: number
  /** From here on nobody wants it. */
  readonly deleteAt: number
  /** Never to be used once stale, whoever would accept it (`must-revalidate`, `no-cache`; RFC 9111 §4.2.4). */
  readonly mustRevalidate: boolean
  /** How long the handler took, for early refresh (XFetch). */
  readonly fillMs: number
  /** May answer a request with `Authorization` (RFC 9111 §3.5), or one of another user than it was made for. */
  readonly shared: boolean
  /** The entity tag was computed by Sluice: the handler does not know it, so there is no point in asking with it. */
  readonly ownTag: boolean
  /** The user's tags. The tags every entry has (its URL, its route) are derived from `target`. */
  readonly tags: readonly string[]
  readonly target: RecordTarget
  /** The reason phrase, where the handler gave one of its own. */
  readonly reason?: string | undefined
  /** Fields of earlier middleware that the handler took away, in lower case: a hit is without them too. */
  readonly without?: readonly string[] | undefined
  /** Whose it is until somebody else is given the same; `undefined`: everybody's who asks for what its key and terms say. */
  readonly witness?: Witness | undefined
  /** What caches further on may do without asking; `undefined`: nothing. */
  readonly promise?: DownstreamPromise | undefined
}

/** One visitor has been given this response, and no other has confirmed it. */
export interface Witness {
  /** The request fields in which a visitor's credentials stand that are not among the terms of the response. */
  readonly of: readonly string[]
  /** A hash of what they held; empty for a visitor without credentials. */
  readonly visitor: string
  /** Hashes of what they held, one by one: who has some of it may be the same visitor. */
  readonly marks: readonly string[]
  /** `contradicted`: another visitor was given something else, so it stays this one's. */
  readonly state: 'first' | 'contradicted'
}

/** What `Cache-Control` and `CDN-Cache-Control` are made of at each hit. Milliseconds. */
export interface DownstreamPromise {
  readonly scope: 'public' | 'private'
  readonly clientMs: number
  /** `undefined`: a CDN is told nothing. */
  readonly cdnMs: number | undefined
  readonly noTransform: boolean
}

export interface StoredForm {
  /** The content coding, in lower case; `identity` for none (RFC 9110 §8.4.1). */
  readonly coding: string
  readonly body: Uint8Array
  /** The entity tag of this form, quotes and all. `undefined` where the response has none. */
  readonly etag: string | undefined
  /** It was made at the best level already. */
  readonly best?: boolean | undefined
}

/** What a record answers, for invalidation by URL and by route. */
export interface RecordTarget {
  readonly scheme: string
  readonly authority: string
  readonly path: string
  /** The raw query where the whole of it is in the key; `undefined` where a part of it or something else is. */
  readonly query: string | undefined
  readonly route: string | undefined
  /** `name=value` of the route's parameters, sorted. */
  readonly params: string | undefined
}
