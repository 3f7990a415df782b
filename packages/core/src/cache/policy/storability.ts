import type { ResponseHead } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { notStorable } from '../../http/caching/storable.ts'
import { parseVary } from '../../http/caching/vary.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { parseContentRange } from '../../http/selection/range.ts'
import type { CacheCore } from '../cache-core.ts'
import { deliveryFields, type Guard, identityReads, isQueryRead } from '../fill/guard.ts'
import { allowsAuthorization, type ResponseTerms } from '../fill/make-record.ts'
import type { CacheKey } from './key.ts'
import type { CachePolicy } from './options.ts'

/** Where a client names the host it wants; HTTP/2 has a field of its own. */
const hostFields: readonly string[] = ['host', ':authority']

/** Of the request's look-up, what the judgement is about. */
interface Judged {
  readonly core: CacheCore
  readonly view: RequestView
  readonly policy: CachePolicy
  readonly key: CacheKey
  /** Where a part of the response could be stored. */
  readonly part?: object | undefined
}

/** Decides what the response to one request may be used for: stored or not, for whom, and told apart by what. */
export class Judge {
  readonly #core: CacheCore
  readonly #view: RequestView
  readonly #policy: CachePolicy
  readonly #key: CacheKey
  readonly #guard: Guard
  readonly #mayBePart: boolean

  constructor({ core, view, policy, key, part }: Judged, guard: Guard) {
    this.#core = core
    this.#view = view
    this.#policy = policy
    this.#key = key
    this.#guard = guard
    this.#mayBePart = part !== undefined
  }

  /** Why the response must not be stored; `undefined` when it may. */
  refusal(head: ResponseHead, own: Fields, terms: ResponseTerms): string | undefined {
    const policy = this.#policy
    // No body to store: a HEAD response never becomes the entry of a GET.
    if (this.#view.method === 'HEAD') return 'head'
    const rules = {
      explicit: terms.explicit,
      guessed: !terms.explicit && terms.lifetimeMs > 0,
      part: this.#isPart(head, terms),
      ttlRoute: policy.mode === 'route',
      negativeTtl: policy.negativeTtlMs !== undefined,
      authorizationCovered: policy.public || this.#identified || this.#covers('authorization'),
      directives: terms.directives,
      methods: policy.methods,
    }
    const reason = notStorable(this.#view, { status: head.status, fields: judgedFields(head, own) }, rules)
    if (reason !== undefined) return reason
    if (head.length !== undefined && head.length > policy.maxEntryBytes) return 'too-large'
    return this.unkeyed(head)
  }

  /** One part of a whole that would have room here, as long as it says. */
  #isPart(head: ResponseHead, terms: ResponseTerms): boolean {
    if (head.status !== 206 || !this.#mayBePart || terms.lifetimeMs <= 0) return false
    const range = parseContentRange(head.fields.get('content-range'))
    if (!range || range.length > this.#policy.maxEntryBytes) return false
    return head.length === undefined || head.length === range.end - range.start + 1
  }

  /** What the guard has to say. */
  unkeyed(head: ResponseHead): string | undefined {
    const fields = this.#uncovered(head)
    if (fields.length === 0) return undefined
    this.#core.reportUnkeyed(this.#view.route ?? this.#view.path, fields)
    if (this.#policy.guard === 'warn') return undefined
    return isQueryRead(fields[0]!) ? 'unkeyed-query' : `unkeyed-${fields[0]!.replace('@', '')}`
  }

  #uncovered(head: ResponseHead): string[] {
    // Vary says nothing of the query: a parameter that was left out of the key is watched for whoever decides on storing.
    if (this.#policy.guard === 'off') return this.#guard.uncovered((name) => !isQueryRead(name))
    const vary = parseVary(head.fields.get('vary'))
    return this.#guard.uncovered((name) => vary.includes(name) || this.#covers(name))
  }

  #covers(name: string): boolean {
    return (
      deliveryFields.has(name) ||
      hostFields.includes(name) ||
      this.#policy.ignored.has(name) ||
      this.#key.covered?.has(name) === true ||
      this.#view.keyedFields.includes(name) ||
      (identityReads.has(name) && this.#identified)
    )
  }

  /** The key names the user. */
  get #identified(): boolean {
    return this.#key.covered?.has('@identity') === true
  }

  /**
   * The fields that tell variants apart. What earlier middleware put into Vary concerns fields that it sets afresh on each
   * hit, so it counts only when the handler read that field too, or when reads do not count. A handler that read the
   * client's Host makes its answer a variant by it: the key has only the host that matters.
   */
  varyFields(head: ResponseHead): readonly string[] {
    const all = parseVary(head.fields.get('vary'))
    if (all === '*') return []
    const before = parseVary(head.before.get('vary'))
    const named =
      this.#policy.guard === 'off' ? all : all.filter((name) => !before.includes(name) || this.#guard.has(name))
    const hosts = hostFields.filter((name) => this.#guard.has(name) && !this.#view.keyedFields.includes(name))
    return hosts.length ? [...new Set([...named, ...hosts])].sort() : named
  }

  /** Whether it may answer requests with `Authorization`. A handler that was watched has not looked at it. */
  mayShare(fields: Fields): boolean {
    const { guard } = this.#policy
    return this.#policy.public || this.#identified || guard === 'on' || allowsAuthorization(fields)
  }

  /** A response for one user is `private` to every cache but this one. */
  get scope(): 'public' | 'private' {
    if (this.#policy.public) return 'public'
    const personal = this.#identified || this.#key.covered?.has('authorization') || this.#sentCredentials
    return personal ? 'private' : 'public'
  }

  get #sentCredentials(): boolean {
    return this.#view.header('authorization') !== undefined
  }
}

/** The fields that decide on storing. Cookies that earlier middleware set are not stored, so they forbid nothing. */
function judgedFields(head: ResponseHead, own: Fields): Fields {
  if (!head.before.has('set-cookie') || own.has('set-cookie')) return head.fields
  const judged = head.fields.copy()
  judged.delete('set-cookie')
  return judged
}
