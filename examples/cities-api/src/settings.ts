import { join } from 'node:path'
import type { Rates } from './http/limits.ts'
import { StartError } from './start-error.ts'

export const frameworks = ['express', 'koa', 'fastify'] as const
export type Framework = (typeof frameworks)[number]

export interface Settings {
  readonly framework: Framework
  readonly port: number
  readonly host: string
  /** A PostgreSQL server; without one the database is embedded. */
  readonly databaseUrl: string | undefined
  /** Where the embedded database keeps its files between two starts. */
  readonly dataDirectory: string
  /** A Redis for what is cached and counted; without one this process keeps it for itself. */
  readonly redisUrl: string | undefined
  /** Whether to believe a proxy on this machine about who asks. */
  readonly behindProxy: boolean
  /** How much each limit allows. */
  readonly rates: Rates
  /** Whether to fill the cache with what is asked for most. */
  readonly warm: boolean
  /** The password of `POST /login`. */
  readonly password: string
  /** What opens the operators' door; without one it is open in development, on this machine. */
  readonly operatorToken: string | undefined
  readonly isDevelopment: boolean
}

/** What the command line and the environment ask for. @throws StartError where that makes no sense */
export function readSettings(args: readonly string[], env: NodeJS.ProcessEnv): Settings {
  return {
    framework: readFramework(args),
    port: readPort(env.PORT || '3000'),
    host: env.HOST || 'localhost',
    databaseUrl: env.DATABASE_URL || undefined,
    dataDirectory: env.DATA_DIR || join(import.meta.dirname, '..', '.data'),
    redisUrl: env.REDIS_URL || undefined,
    behindProxy: Boolean(env.BEHIND_PROXY),
    rates: {
      address: env.LIMIT_ADDRESS || '1000/min',
      search: env.LIMIT_SEARCH || '600/min',
      login: env.LIMIT_LOGIN || '5 per 15 minutes',
    },
    warm: Boolean(env.WARM),
    password: env.PASSWORD || 'open sesame',
    operatorToken: env.OPS_TOKEN || undefined,
    isDevelopment: env.NODE_ENV === 'development',
  }
}

function readFramework([name = 'express', ...more]: readonly string[]): Framework {
  const framework = frameworks.find((known) => known === name.toLowerCase())
  if (!framework || more.length > 0) {
    throw new StartError(`Unknown argument "${[name, ...more].join(' ')}": choose one of ${frameworks.join(', ')}.`)
  }
  return framework
}

function readPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new StartError(`PORT must be a number from 0 to 65535, not "${text}".`)
  return port
}
