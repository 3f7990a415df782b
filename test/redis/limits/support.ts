import type { Clock } from '../../../packages/core/src/base/clock.ts'
import { systemClock } from '../../../packages/core/src/base/clock.ts'
import type { AlgorithmKind } from '../../../packages/core/src/limit/algorithms/algorithm.ts'
import { algorithmFor } from '../../../packages/core/src/limit/algorithms/algorithm-for.ts'
import { type BanRules, banAlgorithm } from '../../../packages/core/src/limit/bans/ban.ts'
import { parseRate } from '../../../packages/core/src/limit/policy/rate.ts'
import { type Charge, type Quota, subjectLength } from '../../../packages/core/src/limit/store/store.ts'
import { Link } from '../../../packages/redis/src/connection/link.ts'
import type { RedisLimitStoreOptions } from '../../../packages/redis/src/limit/store/options.ts'
import { RedisLimitStore } from '../../../packages/redis/src/limit/store/redis-limit-store.ts'
import { likewiseWaits, wired } from '../library.ts'
import { freshName } from '../support.ts'

/** A store as one process has it; several under one namespace are several processes. */
export function limitsOn(client: unknown, over: Partial<RedisLimitStoreOptions> = {}): RedisLimitStore {
  return new RedisLimitStore({
    link: new Link(wired(client), likewiseWaits),
    clock: systemClock(),
    namespace: freshName(),
    ...over,
  })
}

export interface QuotaInput extends Partial<Omit<Quota, 'algorithm'>> {
  readonly algorithm?: AlgorithmKind
  readonly permitTtlMs?: number
  readonly timeZone?: string
}

export function quotaOf(
  rate: string,
  { algorithm: kind, permitTtlMs = 30_000, timeZone, ...over }: QuotaInput = {},
): Quota {
  const algorithm = algorithmFor('test', parseRate('test', rate, timeZone)[0]!, kind, permitTtlMs)
  const name = over.name ?? 'q'
  return {
    policy: name,
    name,
    id: `:${name}:${algorithm.signature}`,
    algorithm,
    shadow: false,
    onOutage: 'local',
    share: 1,
    lease: 0,
    ...over,
  }
}

/** A rate of that kind, in that window or, where that is what it counts in, in a calendar month. */
export function rateOf(kind: AlgorithmKind, n: number, window: string): string {
  if (kind === 'concurrent') return `${n} concurrent`
  return `${n}/${kind === 'calendar-window' ? 'calendar month' : window}`
}

/** What a policy's bans are asked by. */
export function banQuotaOf(rules: Partial<BanRules>, over: Partial<Quota> = {}): Quota {
  const usual = { after: 3, withinMs: 600_000, forMs: 900_000, factor: 2, maxMs: 86_400_000, forgetMs: 604_800_000 }
  const policy = over.policy ?? 'q'
  return {
    policy,
    name: policy,
    id: `:${policy}:b`,
    algorithm: banAlgorithm({ ...usual, ...rules }) as unknown as Quota['algorithm'],
    shadow: false,
    onOutage: 'local',
    share: 1,
    lease: 0,
    ...over,
  }
}

let permits = 0

export function chargeOf(quota: Quota, subject = 'a', cost = 1): Charge {
  const permit = quota.algorithm.kind === 'concurrent' ? `p${permits++}` : ''
  return { quota, key: `${subject.padEnd(subjectLength, '_')}${quota.id}`, cost, permit }
}

/** A clock that stands where it is put. Its timers never fire. */
export class StillClock implements Clock {
  ms: number

  constructor(ms = 1_790_000_000_000) {
    this.ms = ms
  }

  now(): number {
    return this.ms
  }

  wall(): number {
    return this.ms
  }

  after(): () => void {
    return () => {}
  }
}
