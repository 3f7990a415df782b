/**
 * The backend for many processes. Give `redis(url)` to `createSluice`; everything else stays as it is.
 */
export { redis } from './backend.ts'
export type { RedisClient } from './connection/client.ts'
export type { DeadlineOptions, RedisOptions, TierOptions } from './options.ts'
