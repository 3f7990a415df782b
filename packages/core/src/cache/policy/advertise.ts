import type { KeyFunction } from '../../exchange/client/by.ts'
import { parseVary } from '../../http/caching/vary.ts'
import type { Fields } from '../../http/fields/fields.ts'
import type { CachePolicy } from './options.ts'

/**
 * What caches further on are told of a response that is stored here. On a route with a TTL the route says it: browsers
 * ask each time unless `clientTtl` lets them wait, so that a purge is seen at the next request. Without a TTL the
 * handler has said it already.
 *
 * Only called for what may be stored: the rule that decides *may store* also decides *may advertise*.
 */
export function advertise(fields: Fields, policy: CachePolicy, scope: 'public' | 'private'): void {
  if (policy.mode === 'handler') return
  const seconds = Math.floor(policy.clientTtlMs / 1000)
  fields.set('cache-control', `${scope}, max-age=${seconds}${seconds === 0 ? ', must-revalidate' : ''}`)
  fields.delete('expires')
  fields.delete('pragma')
  for (const name of policy.targets) fields.delete(name)
  if (policy.cdnTtlMs !== undefined && scope === 'public') {
    fields.set('cdn-cache-control', `max-age=${Math.floor(policy.cdnTtlMs / 1000)}`)
  }
  const vary = parseVary(fields.get('vary'))
  for (const name of variedFields(policy)) if (vary !== '*' && !vary.includes(name)) fields.append('vary', name)
}

/** The request fields that `varyBy` names, as itself or through `by.header`. */
function variedFields(policy: CachePolicy): readonly string[] {
  const named = policy.varyFunctions.flatMap((fn: KeyFunction & { readonly field?: string }) => fn.field ?? [])
  return [...policy.varyFields, ...named]
}
