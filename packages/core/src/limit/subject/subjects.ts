import { hash, randomBytes } from 'node:crypto'
import { joinParts } from '../../exchange/client/by.ts'
import { type Quota, subjectLength } from '../store/store.ts'

/** For how many subjects the hash is remembered, per policy; a power of two. Remembering spares a quarter of a microsecond. */
const places = 4_096

/** Longer texts are hashed each time: remembering them would be storing what clients send. */
const longestRemembered = 256

/** What stands for a subject in a policy: the keys of the policy's fixed quotas, and what others are made of. */
export interface Subject {
  /** {@link subjectLength} characters of a keyed hash. */
  readonly hash: string
  /** What it was made of; `undefined` for the one that all share of whom it cannot be told. */
  readonly text: string | undefined
  /** What comes behind a quota's id where the policy is split by route, else `''`. */
  readonly suffix: string
  /** One key per fixed quota. */
  readonly keys: readonly string[]
  /**
   * The key of the policy's ban, one for all rates and routes; `''` where it has none, and of the subject that all share of whom
   * it cannot be told who they are: nobody is shut out for what strangers did.
   */
  readonly ban: string
}

/** Turns whatever a key function answers into keys of fixed length that tell nobody what they were made from. */
export class Subjects {
  readonly #hash: (text: string) => string
  readonly #quotas: readonly Quota[]
  readonly #ban: Quota | undefined
  // Three tables: what a client sends as its key must never pass for the name of something else.
  readonly #keys = new Recent<Subject>()
  readonly #routes = new Recent<Subject>()
  readonly #addresses = new Recent<Subject>()
  #unknown: Subject | undefined

  constructor(hash: (text: string) => string, quotas: readonly Quota[], ban: Quota | undefined) {
    this.#hash = hash
    this.#quotas = quotas
    this.#ban = ban
  }

  /**
   * @param key - `undefined`: it cannot be told; such requests share one subject
   * @param route - where the policy is split by route
   */
  of(key: string | undefined, route: string | undefined): Subject {
    if (route !== undefined) return this.#ofRoute(key, route)
    if (key === undefined) {
      this.#unknown ??= this.#make(undefined, undefined)
      return this.#unknown
    }
    let subject = this.#keys.get(key)
    if (!subject) {
      subject = this.#make(key, undefined)
      this.#keys.put(key, subject)
    }
    return subject
  }

  #ofRoute(key: string | undefined, route: string): Subject {
    const name = joinParts([key, route])
    let subject = this.#routes.get(name)
    if (!subject) {
      subject = this.#make(key, route)
      this.#routes.put(name, subject)
    }
    return subject
  }

  #make(key: string | undefined, route: string | undefined): Subject {
    // 'k' and 'u' keep a client that calls itself by the name of the shared bucket out of it.
    const hash = this.#hash(key === undefined ? 'u' : `k${key}`)
    const suffix = route === undefined ? '' : `:${this.#hash(`r${route}`)}`
    const ban = this.#ban && key !== undefined ? `${hash}${this.#ban.id}` : ''
    return { hash, text: key, suffix, ban, keys: this.#quotas.map((quota) => `${hash}${quota.id}${suffix}`) }
  }

  /** What a hash was made of, where that is still remembered. Looks at all that is. */
  textOf(hash: string): string | undefined {
    for (const known of [this.#addresses, this.#keys, this.#routes]) {
      const text = known.find((subject) => subject.hash === hash)?.text
      if (text !== undefined) return text
    }
    return undefined
  }

  /** The subject of an address as the framework has it, where it was seen: spares finding out which address it is. */
  ofAddress(raw: string): Subject | undefined {
    return this.#addresses.get(raw)
  }

  rememberAddress(raw: string, address: string): Subject {
    const subject = this.#make(address, undefined)
    this.#addresses.put(raw, subject)
    return subject
  }
}

/**
 * What was used lately: a table in which every name has one place, and takes it from whoever was there. Unlike a map it
 * costs a flood of names that are never seen again next to nothing.
 */
class Recent<T> {
  #names: (string | undefined)[] = []
  #values: (T | undefined)[] = []

  get(name: string): T | undefined {
    if (name.length > longestRemembered || this.#names.length === 0) return undefined
    const place = placeOf(name)
    return this.#names[place] === name ? this.#values[place] : undefined
  }

  find(which: (value: T) => boolean): T | undefined {
    return this.#values.find((value) => value !== undefined && which(value))
  }

  put(name: string, value: T): void {
    if (name.length > longestRemembered) return
    if (this.#names.length === 0) {
      this.#names = new Array(places).fill(undefined)
      this.#values = new Array(places).fill(undefined)
    }
    const place = placeOf(name)
    this.#names[place] = name
    this.#values[place] = value
  }
}

/** FNV-1a. Names that were made to collide only make each other be hashed again. */
function placeOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & (places - 1)
}

/**
 * SHA-256 of the secret and the text, cut to {@link subjectLength} characters of base64url (132 bits). Not HMAC, which
 * takes six times as long: what HMAC adds guards a hash that is shown whole, and this one is cut to half its length.
 */
export function keyedHash(secret: string | undefined): (text: string) => string {
  // Of fixed length, so that secret and text cannot be divided in another way.
  const key = hash('sha256', secret ?? randomBytes(32), 'base64url')
  return (text) => hash('sha256', key + text, 'base64url').slice(0, subjectLength)
}
