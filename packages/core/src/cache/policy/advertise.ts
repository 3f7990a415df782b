import type { KeyFunction } from '../../exchange/client/by.ts'
import { addVary } from '../../exchange/merge-fields.ts'
import { parseCacheControl } from '../../http/caching/cache-control.ts'
import { defaultTtlStatuses } from '../../http/caching/storable.ts'
import type { Fields } from '../../http/fields/fields.ts'
import type { DownstreamPromise } from '../entry/record.ts'
import type { CachePolicy } from './options.ts'

/** What is known here of a response, as far as it concerns caches further on. */
export interface Downstream {
  readonly scope: 'public' | 'private'
  /** The request fields they must tell apart. */
  readonly vary: readonly string[]
  /** How long it is stored here: nobody is promised more. */
  readonly lifetimeMs: number
  readonly status: number
}

/**
 * What caches further on are told of a response that is stored here. On a route with a TTL the route says it: browsers
 * ask each time unless `clientTtl` lets them wait, so that a purge is seen at the next request. Without a TTL the
 * handler has said it already.
 *
 * Only called for what may be stored: the rule that decides *may store* also decides *may advertise*.
 *
 * @returns what they may do without asking, where that is anything: it shrinks as the entry ages
 */
export function advertise(fields: Fields, policy: CachePolicy, known: Downstream): DownstreamPromise | undefined {
  for (const name of known.vary) addVary(fields, name)
  if (policy.mode === 'handler') return undefined
  for (const name of variedFields(policy)) addVary(fields, name)
  const promise = promiseOf(fields, policy, known)
  fields.set('cache-control', cacheControl(promise, 0))
  fields.delete('expires')
  fields.delete('pragma')
  for (const name of policy.targets) fields.delete(name)
  if (promise.cdnMs !== undefined) fields.set('cdn-cache-control', cdnCacheControl(promise, 0))
  return promise.clientMs > 0 || promise.cdnMs !== undefined ? promise : undefined
}

function promiseOf(fields: Fields, policy: CachePolicy, known: Downstream): DownstreamPromise {
  const { scope, lifetimeMs, status } = known
  // The route speaks of its successes: what `negativeTtl` keeps here may be right again in a moment.
  const longestMs = defaultTtlStatuses.has(status) ? lifetimeMs : 0
  const cdnMs = policy.cdnTtlMs === undefined || scope === 'private' ? undefined : Math.min(policy.cdnTtlMs, longestMs)
  return {
    scope,
    clientMs: Math.min(policy.clientTtlMs, longestMs),
    cdnMs: cdnMs === 0 && policy.cdnTtlMs !== 0 ? undefined : cdnMs,
    // RFC 9111 §5.2.2.6: not ours to lift.
    noTransform: parseCacheControl(fields.get('cache-control')).has('no-transform'),
  }
}

/**
 * `Cache-Control` for a response of this age: `max-age` counts from when it was generated (RFC 9111 §4.2.3), so it is the
 * age and what is left of the promise.
 *
 * @param ageS - the `Age` that is sent with it
 * @param leftMs - how long it is fresh here. Default: no matter
 */
export function cacheControl(promise: DownstreamPromise, ageS: number, leftMs = Number.POSITIVE_INFINITY): string {
  const seconds = Math.floor(Math.min(promise.clientMs, Math.max(leftMs, 0)) / 1000)
  const told = seconds === 0 ? 'max-age=0, must-revalidate' : `max-age=${ageS + seconds}`
  return `${promise.scope}, ${told}${promise.noTransform ? ', no-transform' : ''}`
}

/** The same for a CDN (RFC 9213). */
export function cdnCacheControl(promise: DownstreamPromise, ageS: number, leftMs = Number.POSITIVE_INFINITY): string {
  const seconds = Math.floor(Math.min(promise.cdnMs ?? 0, Math.max(leftMs, 0)) / 1000)
  return `max-age=${seconds === 0 ? 0 : ageS + seconds}`
}

/** The request fields that `varyBy` names, as itself or through `by.header`. */
function variedFields(policy: CachePolicy): readonly string[] {
  const named = policy.varyFunctions.flatMap((fn: KeyFunction & { readonly field?: string }) => fn.field ?? [])
  return [...policy.varyFields, ...named]
}
