import { SluiceError } from '../base/errors.ts'
import { chain, isPromise } from '../base/maybe-promise.ts'
import { ResponseContext } from '../exchange/context.ts'
import type { BodyPlan, Exchange, Pipeline, ResponseControl, ResponseHead } from '../exchange/exchange.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { parseGroups } from '../http/caching/cache-groups.ts'
import { sameOriginTarget, splitAuthority } from '../http/locate.ts'
import { isSafeMethod } from '../http/methods.ts'
import type { CacheCore } from './cache-core.ts'
import { urlTags, userTag } from './entry/record-tags.ts'
import { type BypassTeller, idleControl } from './fill/pass-exchange.ts'
import type { InvalidateMode } from './store/store.ts'

/** Tags to invalidate, or a function of the response that answers them. */
export type TagSource = string | ((r: ResponseContext) => string | readonly string[])

/** Invalidates on behalf of a response, tells the listeners, and answers the promise to wait for, where there is one. */
function invalidate(core: CacheCore, tags: readonly string[], mode: InvalidateMode): PromiseLike<void> | undefined {
  if (tags.length === 0) return undefined
  const done = core.invalidating(tags, mode, () =>
    core.ask('invalidate', () => chain(core.store.invalidate(tags, mode), () => true)),
  )
  return isPromise(done) ? done.then(() => undefined) : undefined
}

/**
 * After a successful unsafe request: its URL, and what its Location and Content-Location name on the same origin, are
 * no longer what is stored (RFC 9111 §4.4); nor are the groups it names (RFC 9875 §3).
 */
export function invalidateTarget(
  core: CacheCore,
  view: RequestView,
  statusLine: string | undefined,
  teller?: BypassTeller,
): Exchange {
  return new InvalidatingExchange(core, view, statusLine, [], teller)
}

/** `sluice.invalidate(...tags)`: the same, and tags of the application's own. */
export function invalidatePipeline(core: CacheCore, sources: readonly TagSource[]): Pipeline {
  return {
    name: 'invalidate',
    // It is about unsafe methods.
    atFront: 'skipped',
    open: (view) =>
      view.ticket === undefined
        ? { kind: 'proceed', exchange: new InvalidatingExchange(core, view, undefined, sources) }
        : { kind: 'proceed' },
  }
}

class InvalidatingExchange implements Exchange {
  readonly control: ResponseControl | undefined
  readonly #core: CacheCore
  readonly #view: RequestView
  readonly #statusLine: string | undefined
  readonly #sources: readonly TagSource[]
  readonly #teller: BypassTeller | undefined
  #settled: PromiseLike<void> | undefined

  constructor(
    core: CacheCore,
    view: RequestView,
    statusLine: string | undefined,
    sources: readonly TagSource[],
    teller?: BypassTeller,
  ) {
    this.#core = core
    this.#view = view
    // Where a cache is mounted, its control is; `invalidate()` alone must not take the place of another's.
    this.control = statusLine === undefined ? undefined : idleControl
    this.#statusLine = statusLine
    this.#sources = sources
    this.#teller = teller
  }

  onHead(head: ResponseHead): BodyPlan {
    if (this.#statusLine !== undefined) head.fields.append('cache-status', this.#statusLine)
    // Before the head goes out: whoever has seen this answer must not be given the older one any more.
    if (head.status >= 200 && head.status < 400) {
      this.#settled = invalidate(this.#core, [...this.#ownTags(head), ...this.#targetTags(head)], 'purge')
    }
    this.#teller?.tell(head)
    return { mode: 'pass' }
  }

  settled(): PromiseLike<void> | undefined {
    return this.#settled
  }

  onClose(): void {
    this.#teller?.tell(undefined)
  }

  #ownTags(head: ResponseHead): string[] {
    const response = new ResponseContext(this.#view, head.status, head.fields)
    return this.#sources.flatMap((source) => {
      const made = typeof source === 'function' ? this.#core.attempt('invalidate', () => source(response)) : source
      return (typeof made === 'string' ? [made] : (made ?? [])).map(userTag)
    })
  }

  #targetTags(head: ResponseHead): string[] {
    const view = this.#view
    if (isSafeMethod(view.method)) return []
    const { scheme } = view
    // Of a target in absolute form also the Host field: a handler may have gone by that.
    const named = view.absolute === undefined ? [view.authority] : [view.authority, view.header('host') ?? '']
    const hosts = new Set(named.map((authority) => splitAuthority(authority).host))
    const targets = [
      // Every query of the path: which of them the change concerns cannot be told from here.
      { path: view.path, query: undefined },
      ...['location', 'content-location'].map((name) => sameOriginTarget(view, head.fields.get(name))),
    ]
    const urls = targets.flatMap((t) =>
      t
        ? [...hosts].flatMap((authority) => urlTags({ scheme, authority, path: t.path, query: t.query || undefined }))
        : [],
    )
    const groups = parseGroups(head.fields.lines('cache-group-invalidation')).map(userTag)
    return [...urls, ...groups]
  }
}

/** What `purge` and `expire` are told. Exactly one of `tags`, `url`, `route`, `all`. */
export type InvalidationTarget =
  /** Everything that carries one of these tags. */
  | { readonly tags: string | readonly string[] }
  /**
   * Every variant of a URL. Relative (`/cities?page=2`): on any host; absolute: on that one. Without a query: every query
   * of that path.
   */
  | { readonly url: string | URL }
  /** Every variant of a route's responses (`/cities/:id`), or of those with these parameters. */
  | { readonly route: string; readonly params?: Readonly<Record<string, string | number>> | undefined }
  /** Everything. */
  | { readonly all: true }

/** For messages. */
const shape = 'must be one of { tags }, { url }, { route, params } or { all: true }'

export function badTarget(received: string): SluiceError {
  return new SluiceError('ERR_SLUICE_OPTION', `What is to be invalidated ${shape}; received ${received}.`)
}
