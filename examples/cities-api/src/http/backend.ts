import type { Backend } from '@sluice/core'
import { redis } from '@sluice/redis'
import type { Settings } from '../settings.ts'

/** Where the cache and the limits are kept: in Redis, where several processes share them, or in this process. */
export function backendOf({ redisUrl }: Settings): { readonly backend?: Backend } {
  return redisUrl ? { backend: redis(redisUrl, { namespace: 'cities' }) } : {}
}
