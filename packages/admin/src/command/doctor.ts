import type { ServerFacts } from '@sluice/core'
import { table } from './print.ts'

export interface Finding {
  readonly check: string
  /** `unknown`: it cannot be told from where it was looked. */
  readonly verdict: 'ok' | 'warn' | 'bad' | 'unknown'
  readonly said: string
  readonly remedy?: string
}

/** What is known of the environment; what is absent could not be told. */
export interface Facts {
  /** Versions of Node, by where it runs. */
  readonly nodes: Readonly<Record<string, string>>
  readonly backend: string
  readonly server?: ServerFacts | { readonly error: string } | undefined
  readonly hasSecret?: boolean | undefined
  readonly env?: string | null | undefined
  readonly client?:
    | { readonly proxied: boolean; readonly isBelieved: boolean; readonly isLoopback: boolean }
    | undefined
}

/** Judges an environment. */
export function diagnose(facts: Facts): readonly Finding[] {
  const { nodes, backend, server } = facts
  return [
    ...Object.entries(nodes).map(([where, version]) => nodeFinding(where, version)),
    ...(facts.env === undefined ? [] : [envFinding(facts.env, facts.client?.isLoopback ?? true)]),
    ...(backend === 'memory'
      ? [ok('store', 'memory: cache and limits are of one process. For several of them: backend: redis(url).')]
      : serverFindings(server)),
    secretFinding(backend, facts.hasSecret),
    proxyFinding(facts.client),
  ]
}

export const isHealthy = (findings: readonly Finding[]): boolean => !findings.some(({ verdict }) => verdict === 'bad')

/** For people: a line each, and below it what to do. */
export function findingsText(findings: readonly Finding[]): string {
  const names = findings.map(({ verdict, check }) => `${verdict.padEnd(7)}  ${check}`)
  const lines = table(findings.map(({ said }, i) => [names[i]!, said])).split('\n')
  const width = Math.max(...names.map((name) => name.length)) + 2
  const text = findings.flatMap(({ remedy }, i) => [lines[i]!, ...(remedy ? [`${' '.repeat(width)}→ ${remedy}`] : [])])
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length
  const warned = findings.filter(({ verdict }) => verdict === 'warn').length
  const verdict = bad ? `${bad} to mend` : warned ? 'works; see the warnings' : 'nothing is wrong'
  return `${text.join('\n')}\n\nVerdict: ${verdict}${bad && warned ? `, ${warned} warned of` : ''}.\n`
}

const ok = (check: string, said: string): Finding => ({ check, verdict: 'ok', said })

function nodeFinding(where: string, version: string): Finding {
  const check = `Node ${where}`
  return atLeast(version, 20, 19)
    ? ok(check, version)
    : { check, verdict: 'bad', said: version, remedy: 'Sluice needs Node 20.19 or newer.' }
}

function envFinding(env: string | null, isLoopback: boolean): Finding {
  if (env !== 'development' || isLoopback) return ok('NODE_ENV', env ?? 'not set')
  const remedy = 'Set NODE_ENV=production: frameworks are slower in development, and show errors to clients.'
  return { check: 'NODE_ENV', verdict: 'warn', said: 'development, and asked from another machine', remedy }
}

function serverFindings(server: Facts['server']): readonly Finding[] {
  if (!server) return [{ check: 'Redis', verdict: 'unknown', said: 'the backend tells nothing of its server' }]
  if ('error' in server) {
    const remedy = 'Until it is back requests go to their handlers, and limits do what their `onOutage` says.'
    return [{ check: 'Redis', verdict: 'bad', said: server.error, remedy }]
  }
  return [
    versionFinding(server),
    roleFinding(server),
    memoryFinding(server),
    evictionFinding(server),
    ...timing(server),
    persistence(server),
  ]
}

function versionFinding({ product, version, mode }: ServerFacts): Finding {
  const said = `${product} ${version}, ${mode}`
  const check = 'version'
  if (product !== 'Redis' || atLeast(version, 7, 0)) return ok(check, said)
  return atLeast(version, 6, 2)
    ? {
        check,
        verdict: 'warn',
        said,
        remedy: 'Sluice is tested on Redis 7 and newer, and asks for nothing that 6.2 lacks.',
      }
    : { check, verdict: 'bad', said, remedy: 'Take Redis 7 or newer, or Valkey.' }
}

function roleFinding({ role }: ServerFacts): Finding {
  if (role === 'master') return ok('role', 'master')
  const remedy =
    'A replica takes no writes. Give redis(…) the URL of the master, or a client that finds it (Sentinel, Cluster).'
  return { check: 'role', verdict: 'bad', said: role, remedy }
}

function memoryFinding({ maxMemoryBytes, usedMemoryBytes }: ServerFacts): Finding {
  const check = 'memory'
  const used = megabytes(usedMemoryBytes)
  if (maxMemoryBytes === 0) {
    const remedy =
      'CONFIG SET maxmemory 1gb, and the same in redis.conf. Without it Redis grows until the machine has no more.'
    return { check, verdict: 'warn', said: `${used} used, no maxmemory`, remedy }
  }
  return ok(check, `${used} of ${megabytes(maxMemoryBytes)} used`)
}

function evictionFinding({ evictionPolicy, maxMemoryBytes, usedMemoryBytes, evictedKeys }: ServerFacts): Finding {
  const check = 'eviction'
  const said = `${evictionPolicy}, ${evictedKeys} evicted so far`
  const remedy =
    'CONFIG SET maxmemory-policy allkeys-lru: a full Redis without eviction stores nothing new. Limits that must be exact under memory pressure: on a Redis of their own.'
  if (evictionPolicy !== 'noeviction') return ok(check, said)
  return { check, verdict: maxMemoryBytes > 0 && usedMemoryBytes > 0.9 * maxMemoryBytes ? 'bad' : 'warn', said, remedy }
}

function timing({ clockAheadMs, roundTripMs }: ServerFacts): readonly Finding[] {
  const off = Math.abs(clockAheadMs)
  const said = `${off} ms ${clockAheadMs < 0 ? 'behind' : 'ahead of'} the process that asked`
  const clock: Finding =
    off <= 1_000
      ? ok('clock', said)
      : {
          check: 'clock',
          verdict: off > 60_000 ? 'bad' : 'warn',
          said,
          remedy:
            'Run NTP (chrony, systemd-timesyncd) on both machines. Ages and windows are measured by the clock of Redis.',
        }
  const way: Finding =
    roundTripMs <= 5
      ? ok('round trip', `${roundTripMs} ms`)
      : {
          check: 'round trip',
          verdict: roundTripMs > 50 ? 'bad' : 'warn',
          said: `${roundTripMs} ms`,
          remedy: 'Look-ups are given up after 50 ms (deadlines.read). Put Redis near the application.',
        }
  return [clock, way]
}

function persistence({ persistence: kept }: ServerFacts): Finding {
  return ok(
    'persistence',
    kept.length > 0
      ? `${kept.join(' and ')}: counts of limits outlive a restart`
      : 'none that has shown: right for a cache; a restart forgets what limits have counted',
  )
}

function secretFinding(backend: string, hasSecret: boolean | undefined): Finding {
  const check = 'secret'
  if (hasSecret === undefined) return { check, verdict: 'unknown', said: 'is told through the door only' }
  if (hasSecret) return ok(check, 'set')
  if (backend === 'memory') return ok(check, 'not set: a random one for each start, which ends cursors of earlier ones')
  const remedy =
    'createSluice({ secret: process.env.SLUICE_SECRET }), made by `openssl rand -base64 32` and the same in all processes. Without it names of limits can be guessed from Redis, and a cursor of one process is none to another.'
  return { check, verdict: 'warn', said: 'not set', remedy }
}

function proxyFinding(client: Facts['client']): Finding {
  const check = 'trust proxy'
  if (!client) return { check, verdict: 'unknown', said: 'is told through the door only' }
  if (!client.proxied) {
    return { check, verdict: 'unknown', said: 'this request came through no proxy; ask by the public address to see' }
  }
  if (client.isBelieved) return ok(check, 'the forwarded address is believed')
  const remedy =
    "Express: app.set('trust proxy', …); Koa: app.proxy = true; Fastify: trustProxy. Until then all clients behind the proxy share one limit."
  return { check, verdict: 'warn', said: 'X-Forwarded-For arrives, and is not believed', remedy }
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`

function atLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
