import { createHmac, randomBytes } from 'node:crypto'
import { type Quota, subjectLength } from './store.ts'

/** How many subjects' hashes are remembered: two generations of this many. A hit spares a hash, a microsecond or two. */
const generation = 4_096

/** Longer texts are hashed each time: remembering them would be storing what clients send. */
const longestRemembered = 256

/** What stands for a subject in a policy: the keys of the policy's fixed quotas, and what others are made of. */
export interface Subject {
  /** {@link subjectLength} characters of a keyed hash. */
  readonly hash: string
  /** What comes behind a quota's id where the policy is split by route, else `''`. */
  readonly suffix: string
  /** One key per fixed quota. */
  readonly keys: readonly string[]
}

/** Turns whatever a key function answers into keys of fixed length that tell nobody what they were made from. */
export class Subjects {
  readonly #hash: (text: string) => string
  readonly #quotas: readonly Quota[]
  readonly #named = new Recent<Subject>()
  readonly #addresses = new Recent<Subject>()

  constructor(hash: (text: string) => string, quotas: readonly Quota[]) {
    this.#hash = hash
    this.#quotas = quotas
  }

  /**
   * @param key - `undefined`: it cannot be told; such requests share one subject
   * @param route - where the policy is split by route
   */
  of(key: string | undefined, route: string | undefined): Subject {
    // 'k' and 'u' keep a client that calls itself by the name of the shared bucket out of it.
    const text = key === undefined ? 'u' : `k${key}`
    const name = route === undefined ? text : `${route.length}:${route}${text}`
    const known = this.#named.get(name)
    if (known) return known
    const hash = this.#hash(text)
    const suffix = route === undefined ? '' : `:${this.#hash(`r${route}`)}`
    const subject = { hash, suffix, keys: this.#quotas.map((quota) => `${hash}${quota.id}${suffix}`) }
    this.#named.put(name, subject)
    return subject
  }

  /** The subject of an address as the framework has it, where it was seen: spares finding out what address it is. */
  ofAddress(raw: string): Subject | undefined {
    return this.#addresses.get(raw)
  }

  rememberAddress(raw: string, subject: Subject): void {
    this.#addresses.put(raw, subject)
  }
}

/** What was used lately: two generations, the older dropped when the younger is full. Nothing is ever scanned. */
class Recent<T> {
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  get(name: string): T | undefined {
    const young = this.#young.get(name)
    if (young !== undefined) return young
    const old = this.#old.get(name)
    if (old !== undefined) this.put(name, old)
    return old
  }

  put(name: string, value: T): void {
    if (name.length > longestRemembered) return
    if (this.#young.size >= generation) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(name, value)
  }
}

/** HMAC-SHA-256, cut to {@link subjectLength} characters of base64url (132 bits). */
export function keyedHash(secret: string | undefined): (text: string) => string {
  const key = secret ?? randomBytes(32)
  return (text) => createHmac('sha256', key).update(text).digest('base64url').slice(0, subjectLength)
}
