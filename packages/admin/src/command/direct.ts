import { type Backend, by, Engine, type MaybePromise, type PolicyOptions } from '@sluice/core'
import { type Given, Misused } from './args.ts'
import { timeoutOf } from './remote.ts'

/** Runs something on Redis itself, once it is there. @throws Misused, and SluiceError where Redis is not */
export async function onRedis<T>(
  given: Given,
  limits: Readonly<Record<string, PolicyOptions>>,
  env: NodeJS.ProcessEnv,
  run: (engine: Engine) => MaybePromise<T>,
): Promise<T> {
  const timeout = timeoutOf(given.values.timeout)
  const backend = await backendOf(given)
  const secret = env.SLUICE_SECRET
  let engine: Engine
  try {
    engine = new Engine({ backend, limits, ...(secret ? { secret } : {}) })
  } catch (error) {
    throw new Misused((error as Error).message)
  }
  // Of what goes wrong with the connection `ready` tells.
  engine.events.on('error', () => {})
  try {
    await engine.ready({ timeout })
    return await run(engine)
  } finally {
    await engine.close()
  }
}

/** @throws Misused where it cannot be made */
export async function backendOf({ values }: Given): Promise<Backend> {
  const { namespace, lanes, cluster } = values
  if (lanes !== undefined && !/^\d+$/.test(lanes)) throw new Misused('--lanes must be a whole number')
  // What `purge` waits for is that all processes have heard of it; nothing is kept in the memory of this one.
  const options = {
    tier: false,
    ...(namespace ? { namespace } : {}),
    ...(cluster ? { cluster } : {}),
    ...(lanes ? { lanes: Number(lanes) } : {}),
  } as const
  const { redis } = await import('@sluice/redis').catch((error) => {
    throw new Error(`--redis needs the package @sluice/redis beside @sluice/admin: ${(error as Error).message}`)
  })
  try {
    return redis(values.redis!, options)
  } catch (error) {
    throw new Misused((error as Error).message)
  }
}

/** A policy as far as it must be known to find what a key has used: by its name, and by what it counts. */
export function policyOf({ values }: Given): PolicyOptions {
  const { rate = '1/h', algorithm, by: kind = 'ip' } = values
  const keys: Readonly<Record<string, PolicyOptions['key']>> = { ip: by.ip, user: by.user, other: () => '' }
  if (!Object.hasOwn(keys, kind)) throw new Misused("--by must be 'ip', 'user' or 'other'")
  return { rate, key: keys[kind], ...(algorithm ? { algorithm: algorithm as never } : {}) } as PolicyOptions
}
