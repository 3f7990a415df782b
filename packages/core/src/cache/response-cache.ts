import type { Clock } from '../base/clock.ts'
import { show } from '../base/errors.ts'
import type { Events, SluiceEvents } from '../base/events.ts'
import { checkOptions, rule } from '../base/options.ts'
import type { Identity } from '../exchange/client/identity.ts'
import type { Pipeline } from '../exchange/exchange.ts'
import type { OwnReads } from '../exchange/reads/own-reads.ts'
import { splitAuthority, splitTarget } from '../http/locate.ts'
import { CacheCore } from './cache-core.ts'
import { type ConditionOptions, conditionPipeline } from './condition.ts'
import { everythingTag, routeTags, urlTags, userTag } from './entry/record-tags.ts'
import { type Explanation, explain } from './explain.ts'
import { type FindBase, type FoundAnswers, findStored } from './find.ts'
import { FrontDoor } from './front/front-door.ts'
import { badTarget, type InvalidationTarget, invalidatePipeline, type TagSource } from './invalidation.ts'
import { CachePipeline } from './lookup/cache-pipeline.ts'
import type { OutcomeName } from './outcomes.ts'
import { type CacheOptions, type CacheSettings, resolveCachePolicy } from './policy/options.ts'
import type { CacheCounters } from './stats.ts'
import type { CacheStore, InvalidateMode, StoreUsage } from './store/store.ts'

/** How a purge is to be carried out. */
export interface PurgeOptions {
  /**
   * Wait until so many replicas of every Redis server have it, so that a failover cannot lose it. Default: none are waited
   * for. Only Redis has replicas.
   */
  replicas?: number | undefined
}

/** What `sluice.purge()` answers. */
export interface PurgeReport {
  /** How many replicas of every server are known to have it, at the least. 0 where none were waited for. */
  readonly replicas: number
  /** Whether that is as many as were asked for. Where it is not, the purge holds, but a failover might lose it. */
  readonly reached: boolean
}

/** What `sluice.stats().cache` answers. */
export type CacheStats = CacheCounters & StoreUsage

/** The response cache of one instance: makes its pipelines, invalidates, counts. */
export class ResponseCache {
  readonly #core: CacheCore
  readonly #defaults: CacheSettings
  readonly #identity: Identity | undefined
  /** What answers in front of the application. */
  readonly front: FrontDoor

  /** @param identity - how key functions name a signed-in user */
  constructor(
    store: CacheStore,
    clock: Clock,
    events: Events<SluiceEvents>,
    defaults: CacheSettings,
    identity?: Identity,
  ) {
    this.#core = new CacheCore(store, clock, events)
    this.front = new FrontDoor(this.#core, events)
    this.#defaults = defaults
    this.#identity = identity
  }

  /** Tells the guard whose reads are not the handler's. */
  get ownReads(): OwnReads {
    return this.#core.ownReads
  }

  /** @throws SluiceError when an option is wrong */
  pipeline(options: CacheOptions): Pipeline {
    const policy = resolveCachePolicy(options, this.#defaults)
    return new CachePipeline(this.#core, Object.freeze({ ...policy, identity: this.#identity }))
  }

  invalidatePipeline(sources: readonly TagSource[]): Pipeline {
    return invalidatePipeline(this.#core, sources)
  }

  conditionPipeline(options: ConditionOptions): Pipeline {
    return conditionPipeline(this.#core, options)
  }

  /** Resolves when no process serves what was invalidated. Rejects where that is not certain. */
  async invalidate(target: InvalidationTarget, mode: InvalidateMode, options: PurgeOptions = {}): Promise<PurgeReport> {
    const tags = targetTags(target)
    checkOptions<PurgeOptions>('purge', options, { replicas: rule.positiveInteger })
    const { store } = this.#core
    const report = await this.#core.invalidating<PurgeReport>(tags, mode, async () => {
      await this.#core.demand('invalidate', () => store.invalidate(tags, mode))
      const wanted = options.replicas ?? 0
      const replicas = wanted > 0 ? ((await store.replicated?.(wanted)) ?? 0) : 0
      return { replicas, reached: replicas >= wanted }
    })
    return report!
  }

  explain(view: OutcomeName): Explanation {
    return explain(view, this.#core.outcomes)
  }

  /** What is stored under a URL. */
  find(url: string, base: FindBase): Promise<FoundAnswers> {
    return findStored(this.#core, url, base)
  }

  /** Ends what goes on in the background. The store is closed by who made it. */
  close(): void {
    this.#core.forms.close()
  }

  stats(): CacheStats {
    const { counters, store } = this.#core
    return { ...counters, refused: { ...counters.refused }, ...store.usage() }
  }
}

/** The tags of a target. @throws SluiceError for anything that is none */
function targetTags(target: InvalidationTarget): string[] {
  if (typeof target !== 'object' || target === null) throw badTarget(show(target))
  const kinds = ['tags', 'url', 'route', 'all'].filter(
    (kind) => (target as Record<string, unknown>)[kind] !== undefined,
  )
  const unknown = Object.keys(target).filter((key) => !['tags', 'url', 'route', 'params', 'all'].includes(key))
  if (kinds.length !== 1 || unknown.length) throw badTarget(`the keys ${Object.keys(target).join(', ') || '(none)'}`)
  if ('tags' in target && target.tags !== undefined) {
    const tags = typeof target.tags === 'string' ? [target.tags] : target.tags
    if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string' && tag !== '')) {
      throw badTarget(`tags: ${show(target.tags)}`)
    }
    return tags.map(userTag)
  }
  if ('url' in target && target.url !== undefined) return addressTags(String(target.url))
  if ('route' in target && target.route !== undefined) {
    if (typeof target.route !== 'string') throw badTarget(`route: ${show(target.route)}`)
    return routeTags(target.route, target.params)
  }
  if ((target as { all?: unknown }).all !== true) throw badTarget(`all: ${show((target as { all?: unknown }).all)}`)
  return [everythingTag]
}

function addressTags(url: string): string[] {
  const { scheme, authority, path, query } = splitTarget(url.split('#', 1)[0]!)
  if (!path.startsWith('/')) throw badTarget(`url: ${show(url)}`)
  const host = authority === undefined ? undefined : splitAuthority(authority).host
  return urlTags({ scheme, authority: host, path, query: query === '' ? undefined : query })
}
