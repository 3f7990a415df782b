import type { Clock, ServerFacts } from '@sluice/core'
import { withDeadline } from './connection/deadline.ts'
import type { Link } from './connection/link.ts'

/**
 * What a server tells of itself by `INFO`, which the least rights allow. Of a Cluster, the first of its nodes.
 *
 * @throws SluiceError where it does not answer in time
 */
export async function serverFacts(link: Link, clock: Clock, timeoutMs: number): Promise<ServerFacts> {
  await link.connected(timeoutMs)
  const server = link.client.servers()[0] ?? link.client
  const info = (section: string): Promise<string> =>
    withDeadline(clock, timeoutMs, `answer INFO ${section}`, server.info(section))
  const begun = performance.now()
  const own = clock.wall()
  const texts = [await info('server')]
  const roundTripMs = performance.now() - begun
  texts.push(...(await Promise.all(['memory', 'persistence', 'stats', 'replication'].map(info))))
  return factsFrom(texts.join('\n'), own + roundTripMs / 2, roundTripMs)
}

function factsFrom(text: string, askedAt: number, roundTripMs: number): ServerFacts {
  const said = new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':')
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
    }),
  )
  const number = (name: string): number => Number(said.get(name) ?? 0)
  const valkey = said.get('valkey_version')
  const micros = said.get('server_time_usec')
  const persistence: ('rdb' | 'aof')[] = []
  // Whether snapshots are planned shows in CONFIG alone, which the least rights do not allow; that there was one shows here.
  if (number('rdb_last_save_time') > 0 && number('rdb_saves') > 0) persistence.push('rdb')
  if (said.get('aof_enabled') === '1') persistence.push('aof')
  return {
    product: valkey === undefined ? 'Redis' : 'Valkey',
    version: valkey ?? said.get('redis_version') ?? 'unknown',
    mode: said.get('redis_mode') ?? said.get('server_mode') ?? 'standalone',
    role: said.get('role') === 'slave' ? 'replica' : (said.get('role') ?? 'master'),
    maxMemoryBytes: number('maxmemory'),
    usedMemoryBytes: number('used_memory'),
    evictionPolicy: said.get('maxmemory_policy') ?? 'unknown',
    evictedKeys: number('evicted_keys'),
    persistence,
    clockAheadMs: micros === undefined ? 0 : Math.round(Number(micros) / 1_000 - askedAt),
    roundTripMs: Math.round(roundTripMs * 100) / 100,
  }
}
