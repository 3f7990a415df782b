import type { IoredisClient, RedisClient, ScriptClient } from '../client.ts'
import { kindOf } from '../target.ts'
import { Ioredis } from './ioredis.ts'
import { NodeRedisCluster } from './node-redis-cluster.ts'
import { NodeRedisSentinel } from './node-redis-sentinel.ts'
import { NodeRedisServer } from './node-redis-server.ts'
import type { RawClient, RawCluster, RawSentinel } from './node-redis-shapes.ts'

/** An application's client, as Sluice asks it. Nothing else knows of which library it is. */
export function adapt(client: RedisClient): ScriptClient {
  const kind = kindOf(client)
  if (kind === 'cluster') return new NodeRedisCluster(client as unknown as RawCluster)
  if (kind === 'sentinel') return new NodeRedisSentinel(client as unknown as RawSentinel)
  if (kind === 'client') return new NodeRedisServer(client as unknown as RawClient)
  return new Ioredis(client as IoredisClient)
}
