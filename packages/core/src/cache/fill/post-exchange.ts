import { encoderOf } from '../../exchange/encoder.ts'
import type { BodyPlan, Exchange, Reply, ResponseControl, ResponseHead } from '../../exchange/exchange.ts'
import { addVary } from '../../exchange/merge-fields.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { parseGroups } from '../../http/caching/cache-groups.ts'
import { notStorable } from '../../http/caching/storable.ts'
import { parseVary } from '../../http/caching/vary.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { sameOriginTarget, targetText } from '../../http/locate.ts'
import type { CacheCore } from '../cache-core.ts'
import { implicitTags, userTag } from '../entry/record-tags.ts'
import { invalidateTarget } from '../invalidation.ts'
import { targetKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { variantOf } from '../policy/variant.ts'
import { statusLine } from '../status-line.ts'
import type { Vacancy } from '../store/store.ts'
import { ownFields } from './handler-fields.ts'
import {
  allowsAuthorization,
  codingOf,
  makeRecord,
  type ResponseTerms,
  responseTerms,
  targetOf,
} from './make-record.ts'
import { type BypassTeller, idleControl } from './pass-exchange.ts'

/** What of a POST's response is to be stored, once its body is there. */
interface Kept {
  readonly own: Fields
  readonly terms: ResponseTerms
  readonly tags: readonly string[]
  /** Where it stands behind the invalidation of its own. */
  readonly vacancy: Vacancy
}

/**
 * A POST whose response may be what a GET of the same URL would get: it says how long it is fresh, and in
 * `Content-Location` that it is the representation of that URL (RFC 9110 §9.3.3). Such a response takes the place of what
 * it invalidates. Anything else only invalidates.
 *
 * Between what the handler read and what is stored must lie no other purge. That can be told where the store has an order
 * of invalidations in this process, so it is done there alone; on Redis the GET goes to its handler.
 */
export class PostExchange implements Exchange {
  readonly control: ResponseControl = idleControl
  readonly #core: CacheCore
  readonly #view: RequestView
  readonly #policy: CachePolicy
  readonly #invalidating: Exchange
  readonly #startedAt: number
  readonly #position: number | undefined
  readonly #teller: BypassTeller | undefined
  #kept: Kept | undefined

  constructor(core: CacheCore, view: RequestView, policy: CachePolicy, teller?: BypassTeller) {
    this.#core = core
    this.#view = view
    this.#policy = policy
    this.#invalidating = invalidateTarget(core, view, undefined)
    this.#startedAt = core.clock.now()
    this.#position = core.store.order?.position
    this.#teller = teller
  }

  onHead(head: ResponseHead): BodyPlan {
    const candidate = this.#candidate(head)
    this.#invalidating.onHead(head)
    this.#teller?.tell(head)
    const vacancy = candidate && this.#core.ask('read', () => this.#core.store.position(''))
    if (!candidate || !vacancy || !('kind' in vacancy)) {
      head.fields.append('cache-status', statusLine(this.#policy, undefined, { fwd: 'method' }))
      return { mode: 'pass' }
    }
    this.#kept = { ...candidate, vacancy }
    return { mode: 'hold' }
  }

  settled(): PromiseLike<void> | undefined {
    return this.#invalidating.settled?.()
  }

  onBody(head: ResponseHead, body: Uint8Array): Reply {
    const own = ownFields(head)
    const line = statusLine(this.#policy, undefined, { fwd: 'method', stored: this.#store(head, body) })
    own.set('cache-status', [...own.lines('cache-status'), line].join(', '))
    return { status: head.status, fields: [...own].flat(), body }
  }

  onClose(): void {
    this.#teller?.tell(undefined)
  }

  /** The response, if it is one to be stored. Asked before it invalidates anything itself. */
  #candidate(head: ResponseHead): Omit<Kept, 'vacancy'> | undefined {
    const { store, clock } = this.#core
    const policy = this.#policy
    const position = this.#position
    if (position === undefined || !store.order || head.status !== 200 || head.body !== 'whole') return undefined
    if (!isPlain(policy) || !this.#namesItself(head)) return undefined
    if ((head.length ?? 0) > policy.maxEntryBytes) return undefined
    const own = ownFields(head)
    const terms = responseTerms(head, policy, { overrideMs: undefined, wall: clock.wall() })
    const rules = {
      explicit: terms.explicit,
      ttlRoute: false,
      negativeTtl: false,
      authorizationCovered: policy.public,
      directives: terms.directives,
    }
    const { header } = this.#view
    const asGet = { method: 'GET', header: header.bind(this.#view) }
    if (!terms.explicit || terms.lifetimeMs <= 0 || notStorable(asGet, head, rules) !== undefined) return undefined
    const tags = [...new Set([...(policy.tags as readonly string[]), ...parseGroups(own.lines('cache-groups'))])]
    const all = [...implicitTags(targetOf(this.#view, policy)), ...tags.map(userTag)]
    return store.order.invalidatedSince(all, position) ? undefined : { own, terms, tags }
  }

  #namesItself(head: ResponseHead): boolean {
    const view = this.#view
    const named = sameOriginTarget(view, head.fields.get('content-location'))
    const self = sameOriginTarget(view, targetText(view))
    return named !== undefined && named.path === self?.path && named.query === self.query
  }

  /** Whether it is stored now. The store is in this process and answers at once. */
  #store(head: ResponseHead, body: Uint8Array): boolean {
    const { own, terms, tags, vacancy } = this.#kept!
    const view = this.#view
    const policy = this.#policy
    const declared = head.fields.get('content-length')
    if (declared !== undefined && Number(declared) !== body.byteLength) return false
    if (encoderOf(view)?.recipe.varies(own.get('content-type'))) addVary(own, 'Accept-Encoding')
    const { clock } = this.#core
    const times = { startedAt: this.#startedAt, now: clock.now(), wall: clock.wall() }
    const shared = policy.public || allowsAuthorization(head.fields)
    const record = makeRecord({ view, policy, status: 200, fields: own, body, terms, times, tags, shared })
    const vary = parseVary(head.fields.get('vary'))
    const selected = { coding: codingOf(head.fields), language: head.fields.get('content-language') }
    const { texts } = this.#core
    const source = { view, policy, texts }
    const told = { ...selected, terms: vary === '*' ? [] : vary, most: policy.maxVariants }
    const variant = variantOf(source, told, (term) => texts.of(source, term))
    const key = targetKey(view, policy)
    const stored = key !== undefined && this.#core.put(key, variant, record, vacancy) === 'stored'
    if (stored) this.#core.counters.stored++
    return stored
  }
}

/** Whether nothing but the URL is in the key, and nothing has a say in storing that would have to see a GET. */
function isPlain(policy: CachePolicy): boolean {
  const { mode, guard, methods, varyFields, varyFunctions, key, unless, storeIf, tags } = policy
  if (mode !== 'handler' || guard !== 'off' || !methods.includes('GET') || typeof tags === 'function') return false
  return varyFields.length === 0 && varyFunctions.length === 0 && !key && !unless && !storeIf
}
