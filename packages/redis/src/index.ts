export { RedisCacheStore } from './cache/redis-store.ts'
