import type { Span } from '../../base/tracing/tracing.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheCore } from '../cache-core.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { Fill } from '../fill/single-flight.ts'
import type { CacheKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import type { RequestDirectives } from '../policy/request-directives.ts'
import { isSameSpec, secondaryKey } from '../policy/variant.ts'
import type { NotStored } from '../reasons.ts'
import type { StatusParts } from '../status-line.ts'
import type { Vacancy, VariantSelector, VariantSpec } from '../store/store.ts'
import type { TermTexts } from '../terms/term-texts.ts'
import { credentialFields, visitorOf } from '../witness/visitor.ts'
import type { LookUpSample } from './look-up-samples.ts'

/** What all look-ups of one `sluice.cache(...)` share. */
export interface LookupCache {
  readonly core: CacheCore
  readonly policy: CachePolicy
  /** Writes the `Cache-Status` member of a plain hit. */
  readonly hitLine: (ttl: number) => string
}

/** Where a part of a request's representation stands, and what may be presented to store it there. */
export interface PartPlace {
  readonly key: string
  readonly vacancy: Vacancy
}

/** What a look-up comes to where nothing is known of the key. */
const uriMiss: StatusParts = Object.freeze({ fwd: 'uri-miss' })

/** Before the key is known. */
const noKey: CacheKey = Object.freeze({ key: '', covered: undefined, route: undefined })

/**
 * One request's way through the cache, made once per request: each step reads and sets here what it knows. The steps are
 * in `steps.ts`; what becomes of the handler's answer is the fill exchange's, which is given this.
 */
export class Lookup {
  readonly core: CacheCore
  readonly policy: CachePolicy
  readonly view: RequestView
  readonly hitLine: (ttl: number) => string
  private visitor: string | undefined
  key: CacheKey = noKey
  /** The secondary key, as it was last selected. */
  variant = ''
  /** What the store knew of the key then: how its variants are told apart. */
  spec: VariantSpec | undefined
  /** What is stored and no longer fresh: to be confirmed, replaced, or to stand in for an error. */
  stale: CacheRecord | undefined
  /** What a fill may present to the store: where it stands in the order of invalidations, and its lease. */
  vacancy: Vacancy | undefined
  /** Where a part of the representation may be stored, if the answer turns out to be one. */
  part: PartPlace | undefined
  /** Others in this process wait for what this request brings. */
  fill: Fill | undefined
  /** How often this request has waited for others already. */
  attempt = 0
  /** Where one is drawn. */
  span: Span | undefined = undefined
  /** When the store answered. */
  now = 0
  directives: RequestDirectives | undefined
  /** Why the request goes to its handler. */
  status: StatusParts = uriMiss
  /** It is measured. */
  readonly sample: LookUpSample | undefined
  /** What another visitor was given, and nobody has confirmed: to be compared with what this one is given. */
  compared: CacheRecord | undefined
  /** Why the answer must not be stored, whatever it is: that of a follower that has waited too long, say. */
  notStored: NotStored | undefined
  /** The client's own conditions are ours to answer; not of requests that are passed on as they came. */
  answersConditions = true

  constructor({ core, policy, hitLine }: LookupCache, view: RequestView) {
    this.core = core
    this.policy = policy
    this.view = view
    this.hitLine = hitLine
    this.sample = core.samples.begin()
  }

  /** The secondary key of this request under what a store knows of the key. */
  readonly select: VariantSelector = (spec) => {
    this.spec = spec
    this.variant = secondaryKey(this, spec)
    return this.variant
  }

  /** Selects the same variant when this request is long gone. */
  selector(): VariantSelector {
    const { variant, spec: known } = this
    return (spec) => (known && isSameSpec(spec, known) ? variant : secondaryKey(this, spec))
  }

  /** Primary and secondary key as one text: what fills and forms are kept under in this process. */
  get variantKey(): string {
    return `${this.key.key}${this.variant}`
  }

  get texts(): TermTexts {
    return this.core.texts
  }

  /** Who asks, by all the credentials there are. Empty for nobody. */
  get credentials(): string {
    this.visitor ??= visitorOf(this, this.core.texts, credentialFields)
    return this.visitor
  }

  /** What may make the answer this visitor's own; `undefined` too where the answer is the same whoever asks. */
  get authorization(): string | undefined {
    return this.policy.public || this.key.covered?.has('@identity') ? undefined : this.view.header('authorization')
  }

  /** The route, told apart from the same one under another cache; `undefined` where the host has not matched one. */
  get routeName(): string | undefined {
    const { route } = this.view
    return route === undefined ? undefined : `${this.policy.keyPrefix}${route}`
  }

  /** A refresh is a request of its own, which only hosts that can make one can do, and only for GET. */
  get canRefresh(): boolean {
    return this.view.refresh !== undefined && this.view.method === 'GET'
  }

  /** Its answer may become everybody's. A HEAD has no body to store, and a range of a body is not the body. */
  get mayFill(): boolean {
    const { view } = this
    return view.method !== 'HEAD' && view.header('range') === undefined && !this.needsAuthorization
  }

  /** Credentials were sent, and nothing says yet that the answer is the same for everybody. */
  get needsAuthorization(): boolean {
    const { policy } = this
    if (policy.public || this.view.header('authorization') === undefined) return false
    // Then it is that visitor's own until another has been given the same.
    if (policy.witness && policy.mode === 'route') return false
    const { covered } = this.key
    return !covered?.has('@identity') && !covered?.has('authorization')
  }

  /** Other processes need not wait for this request. */
  release(): void {
    this.core.release(this.vacancy)
  }
}
