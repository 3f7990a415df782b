import { type Given, Misused } from './args.ts'
import { onRedis, policyOf } from './direct.ts'
import { line, table } from './print.ts'
import { remoteOf, type Said } from './remote.ts'
import type { Task } from './task.ts'

/** `limits peek` and `limits reset`. */
export async function limitsCommand({ given, env, io, signal }: Task): Promise<number> {
  const [what, policy, ...parts] = given.positionals
  if (what !== 'peek' && what !== 'reset') throw new Misused('`limits peek` or `limits reset`?')
  if (policy === undefined) throw new Misused('the policy is missing')
  const key = parts.length > 1 ? parts : parts[0]
  if (what === 'peek' && key === undefined) throw new Misused('whose? The key is missing')
  const [route] = given.values.route ?? []
  if (what === 'peek') {
    const said: Said = given.values.redis
      ? await peekOnRedis(given, env, policy, key!, route)
      : await remoteOf(given, env, signal).get('/limits/peek', { policy, key, route, rate: given.values.rate })
    io.out.write(given.values.json ? line(said) : peekText(said))
    return 0
  }
  const said: Said = given.values.redis
    ? await resetOnRedis(given, env, policy, key)
    : await remoteOf(given, env, signal).post('/limits/reset', {
        policy,
        ...(key ? { key } : {}),
        ...(route ? { route } : {}),
      })
  const whose = key === undefined ? `${said.count} keys` : [key].flat().join(' ')
  io.out.write(given.values.json ? line(said) : `Reset ${policy}: ${whose}\n`)
  return 0
}

async function peekOnRedis(
  given: Given,
  env: NodeJS.ProcessEnv,
  policy: string,
  key: string | string[],
  route?: string,
) {
  if (!given.values.rate) throw new Misused('straight on Redis the policy must be told: --rate 100/min')
  const check = { key, ...(route ? { route } : {}) }
  const verdict: object = await onRedis(given, { [policy]: policyOf(given) }, env, ({ limiter }) =>
    limiter.peek(policy, check),
  )
  return { policy, key, ...verdict }
}

/** Whatever its rates and routes are: found by policy and key alone. */
async function resetOnRedis(given: Given, env: NodeJS.ProcessEnv, policy: string, key?: string | string[]) {
  return onRedis(given, { [policy]: policyOf(given) }, env, async ({ limiter }) => {
    if (key === undefined) return { status: 'ok', policy, count: await limiter.reset(policy) }
    limiter.pipeline(policy).per('route')
    await limiter.reset(policy, { key })
    return { status: 'ok', policy, key, count: 1 }
  })
}

function peekText({ policy, key, allowed, limit, remaining, retryAfterMs, resetMs }: Said): string {
  const span = (ms: number | null): string => (ms === null ? 'never' : `${Math.ceil(ms / 1_000)} s`)
  return table([
    ['policy', policy],
    ['key', [key].flat().join(' ')],
    ['left', limit === null ? 'unlimited' : `${remaining} of ${limit}`],
    ['whole again in', span(resetMs)],
    ...(allowed ? [] : [['refused for', span(retryAfterMs)] as const]),
  ])
}
