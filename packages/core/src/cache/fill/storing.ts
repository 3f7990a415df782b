import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { ResponseContext } from '../../exchange/context.ts'
import { encoderOf } from '../../exchange/encoder.ts'
import type { ResponseHead } from '../../exchange/exchange.ts'
import { addVary } from '../../exchange/merge-fields.ts'
import { parseGroups } from '../../http/caching/cache-groups.ts'
import type { Fields } from '../../http/fields/fields.ts'
import type { CacheRecord, Witness } from '../entry/record.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { advertise } from '../policy/advertise.ts'
import { cacheKey } from '../policy/key.ts'
import type { Storability } from '../policy/storability.ts'
import { namedTerms, type Selected, variantOf } from '../policy/variant.ts'
import type { NotStored } from '../reasons.ts'
import type { Variant } from '../store/store.ts'
import type { Reads } from '../terms/reads.ts'
import { differenceOf } from '../witness/difference.ts'
import { trustTag } from '../witness/trust.ts'
import { firstWitness } from '../witness/witness.ts'
import { storePart } from './combine.ts'
import { removedFields } from './handler-fields.ts'
import { codingOf, makeRecord, type ResponseTerms, type Times } from './make-record.ts'

/** A whole answer that may be stored. */
export interface Answer {
  readonly head: ResponseHead
  /** The handler's own fields; edited to what is stored. */
  readonly own: Fields
  readonly body: Uint8Array
  readonly terms: ResponseTerms
  /** Those the handler gave. */
  readonly tags: readonly string[]
  readonly times: Times
}

/** What is known of an answer before its record is made. */
interface Standing {
  readonly witness: Witness | undefined
  /** It is everybody's because its route is believed. */
  readonly trusted: boolean
}

/** What a record is made with, and compared with. */
interface Made extends Standing {
  readonly tags: readonly string[]
  /** What another visitor was given. */
  readonly other: CacheRecord | undefined
}

/** Makes a record of an answer and stores it, if nothing speaks against it now that the whole of it is there. */
export class Storing {
  readonly #lookup: Lookup
  readonly #reads: Reads
  readonly #storability: Storability

  constructor(lookup: Lookup, reads: Reads, storability: Storability) {
    this.#lookup = lookup
    this.#reads = reads
    this.#storability = storability
  }

  /** The record, or the reason why not. */
  store(answer: Answer): MaybePromise<CacheRecord | NotStored> {
    const { view, policy, key, core } = this.#lookup
    const { head, body } = answer
    const declared = head.fields.get('content-length')
    if (declared !== undefined && Number(declared) !== body.byteLength) return 'incomplete'
    const unkeyed = head.body === 'pieces' ? this.#storability.unkeyed(head) : undefined
    if (unkeyed !== undefined) return unkeyed
    const response = new ResponseContext(view, head.status, head.fields, body)
    const tags = core.attempt('tags', () => this.#allTags(answer, response))
    if (!tags) return 'callback'
    if (policy.storeIf && !core.attempt('storeIf', () => policy.storeIf!(response))) return 'store-if'
    // A user who signed in (or out) while the handler ran would otherwise be stored under somebody else's key.
    const again = key.covered ? core.guarded('varyBy', () => cacheKey(view, policy, key.route)) : key
    return chain(again, (now) => {
      if (now?.key !== key.key) return 'key-changed'
      const selected = { coding: codingOf(head.fields), language: head.fields.get('content-language') }
      const variant = this.variant(head, selected)
      const { compared } = this.#lookup
      const other = compared && this.#isSameVariant(variant) ? compared : undefined
      return chain(this.#standing(head, other), (standing) => this.#put(answer, variant, { ...standing, tags, other }))
    })
  }

  /** Which variant of its key the response is. */
  variant(head: ResponseHead, selected: Selected): Variant {
    const { core, policy } = this.#lookup
    const terms = this.#storability.terms(head)
    const text = (term: string): string => this.#reads.text(term) ?? core.texts.of(this.#lookup, term)
    return variantOf(this.#lookup, { ...selected, terms, most: policy.maxVariants }, text)
  }

  #put(answer: Answer, variant: Variant, made: Made): MaybePromise<CacheRecord | NotStored> {
    const { core, key, vacancy, view } = this.#lookup
    const { other } = made
    const record = core.attempt('etag', () => this.#record(answer, made))
    if (!record) return 'callback'
    if (other) {
      const difference = differenceOf(other, record)
      if (difference) return chain(core.witnesses.contradict(this.#lookup, other, difference), () => 'contradicted')
      core.witnesses.confirm(this.#lookup)
    }
    if (record.status === 206) return storePart(this.#lookup, record, variant)
    return chain(core.forms.forNew(record, view), (encoded) =>
      chain(core.put(key.key, variant, encoded, vacancy!), (outcome) => {
        if (outcome === 'stored') return encoded
        if (outcome === 'full') core.reports.variants(view, namedTerms(variant.spec))
        return outcome === 'fenced' ? 'purged' : outcome === 'full' ? 'variants' : 'store-refused'
      }),
    )
  }

  #record(answer: Answer, { witness, trusted, tags }: Made): CacheRecord {
    const { view, policy } = this.#lookup
    const { head, own, body, terms, times } = answer
    const scope = witness ? this.#unconfirmedScope(head) : this.#storability.scope(head)
    const downstream = {
      scope,
      vary: this.#storability.downstreamVary(head),
      lifetimeMs: terms.lifetimeMs,
      status: head.status,
    }
    const promise = advertise(own, policy, downstream)
    // Stored with it, for a 304 says it too and has no type that shows it.
    if (encoderOf(view)?.recipe.varies(own.get('content-type'))) addVary(own, 'Accept-Encoding')
    const named = trusted ? [...tags, trustTag(this.#lookup.routeName!)] : tags
    const shared = this.#storability.mayShare(head.fields)
    return {
      ...makeRecord({
        view,
        policy,
        status: head.status,
        reason: head.reason,
        without: removedFields(head),
        fields: own,
        body,
        terms,
        times,
        tags: named,
        shared,
      }),
      witness,
      promise,
    }
  }

  /** Nobody else may have it yet; but one that all must ask for again says nothing that could be wrong for them. */
  #unconfirmedScope(head: ResponseHead): 'public' | 'private' {
    const { policy, credentials } = this.#lookup
    const promises = policy.clientTtlMs > 0 || policy.cdnTtlMs !== undefined
    return credentials !== '' || promises ? 'private' : this.#storability.scope(head)
  }

  /** Whether a second visitor must have got the same before this is everybody's. */
  #standing(head: ResponseHead, other: CacheRecord | undefined): MaybePromise<Standing> {
    const { core, policy, stale, routeName } = this.#lookup
    const confirmed: Standing = { witness: undefined, trusted: false }
    if (!policy.witness || policy.public || this.#storability.declaresItself(head)) return confirmed
    const witness = firstWitness(this.#lookup, this.#storability.terms(head))
    if (!witness || other) return confirmed
    // What takes the place of an answer that was everybody's.
    if (stale && stale.witness === undefined) return confirmed
    if (routeName === undefined) return { witness, trusted: false }
    return chain(core.witnesses.trusts(routeName), (trusted) =>
      trusted ? { witness: undefined, trusted } : { witness, trusted },
    )
  }

  /** The second witness has read nothing that the first one had not: the two were asked the same. */
  #isSameVariant(variant: Variant): boolean {
    const known = this.#lookup.spec
    return variant.spec.fields.every((term) => known?.fields.includes(term) === true)
  }

  #allTags({ own, tags: given }: Answer, response: ResponseContext): string[] {
    const { policy } = this.#lookup
    const named = typeof policy.tags === 'function' ? policy.tags(response) : policy.tags
    const tags = [...named, ...given]
    for (const tag of tags) {
      if (typeof tag !== 'string' || tag === '') throw new TypeError('a tag must be a non-empty string')
    }
    // RFC 9875: groups are tags in a standard's clothes.
    return [...new Set([...tags, ...parseGroups(own.lines('cache-groups'))])]
  }
}
