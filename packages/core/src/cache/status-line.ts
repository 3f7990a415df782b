import { cacheStatus } from '../http/caching/cache-status.ts'
import type { CacheKey } from './policy/key.ts'
import type { CachePolicy } from './policy/options.ts'

/** What one `Cache-Status` member says (RFC 9211 §2). */
export type StatusParts = Omit<Parameters<typeof cacheStatus>[1], 'key'>

/** The `Cache-Status` member of a cache, with the key where the route asks for it. */
export function statusLine(policy: CachePolicy, key: CacheKey | undefined, parts: StatusParts): string {
  return cacheStatus(policy.name, policy.showKey && key ? { ...parts, key: key.key } : parts)
}
