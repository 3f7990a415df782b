import type { Clock } from '../../base/clock.ts'
import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheRecord } from '../entry/record.ts'
import { userTag } from '../entry/record-tags.ts'
import { recordWith } from '../entry/record-with.ts'
import type { CacheStore, SetOutcome, Vacancy, Variant, VariantSelector, VariantSpec } from '../store/store.ts'
import type { Difference } from './difference.ts'
import { Trust, trustTag } from './trust.ts'

const plain: Variant = { spec: { fields: [], codings: [] }, select: () => '' }

/** Under which a contradiction stands in a store that other processes read too. No request has such a key. */
const contradictionKey = (route: string): string => `\0contradiction:${route}`

/** How long other processes are told of one: longer than any of them goes on believing. */
const toldForMs = 86_400_000

/** What of the cache's core is in use here. */
interface Host {
  readonly store: CacheStore
  readonly clock: Clock
  readonly reports: { contradiction(view: RequestView, difference: Difference): void }
  ask<T>(what: string, fn: () => MaybePromise<T>): MaybePromise<T | undefined>
  put(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): MaybePromise<SetOutcome | undefined>
}

/** The look-up of a second witness. */
interface Witnessing {
  readonly view: RequestView
  readonly key: { readonly key: string }
  readonly vacancy: Vacancy | undefined
  readonly routeName: string | undefined
  readonly spec: VariantSpec | undefined
  selector(): VariantSelector
}

/** What the witnesses of one instance's responses have said, key by key and route by route. */
export class Witnesses {
  readonly #core: Host
  readonly #trust = new Trust()

  constructor(core: Host) {
    this.#core = core
  }

  /** Two visitors were given the same. */
  confirm({ routeName, key }: Witnessing): void {
    if (routeName !== undefined) this.#trust.confirmed(routeName, key.key)
  }

  /**
   * Two visitors were given different answers: the one that is stored stays with the visitor it was made for, and what
   * other keys of the route are shared on its word is so no more.
   */
  contradict(lookup: Witnessing, stored: CacheRecord, difference: Difference): MaybePromise<void> {
    const core = this.#core
    const { key, vacancy, routeName, view } = lookup
    const kept = recordWith(stored, { witness: { ...stored.witness!, state: 'contradicted' } })
    const known = lookup.spec ?? plain.spec
    const variant: Variant = { spec: known, select: lookup.selector() }
    const ended = routeName === undefined ? undefined : this.#endTrust(routeName)
    core.reports.contradiction(view, difference)
    return chain(ended, () => chain(core.put(key.key, variant, kept, vacancy!), () => undefined))
  }

  /** Whether enough keys of the route were confirmed, and none was contradicted: in any process. */
  trusts(route: string): MaybePromise<boolean> {
    if (!this.#trust.trusts(route)) return false
    const { store } = this.#core
    // In the memory of this process nobody else has a say.
    if (store.order) return true
    return chain(
      this.#core.ask('read', () => store.get(contradictionKey(route), plain.select)),
      (found) => {
        if (found?.kind === 'vacancy') return true
        if (found) this.#trust.contradicted(route)
        return false
      },
    )
  }

  #endTrust(route: string): MaybePromise<unknown> {
    const core = this.#core
    const { store } = core
    const first = this.#trust.contradicted(route)
    const ended = core.ask('invalidate', () => store.invalidate([userTag(trustTag(route))], 'purge'))
    if (store.order || !first) return ended
    return chain(ended, () => {
      const key = contradictionKey(route)
      return chain(
        core.ask('read', () => store.position(key)),
        (position) => position && core.put(key, plain, contradictionRecord(core.clock.now()), position),
      )
    })
  }
}

/** A record with nothing in it but that it is there. */
function contradictionRecord(now: number): CacheRecord {
  const until = now + toldForMs
  return {
    kind: 'record',
    status: 204,
    fields: [],
    forms: [{ coding: 'identity', body: new Uint8Array(0), etag: undefined }],
    dateMs: now,
    storedAt: now,
    initialAgeMs: 0,
    staleAt: until,
    whileRevalidateUntil: until,
    ifErrorUntil: until,
    deleteAt: until,
    mustRevalidate: false,
    fillMs: 0,
    shared: false,
    ownTag: false,
    tags: [],
    target: { scheme: '', authority: '', path: '', query: undefined, route: undefined, params: undefined },
  }
}
