import { expect } from '@jest/globals'
import { calendarUnits } from '../../../packages/core/src/base/calendar.ts'
import type { AlgorithmKind } from '../../../packages/core/src/limit/algorithms/algorithm.ts'
import { parameters } from '../../../packages/core/src/limit/algorithms/parameters.ts'
import { MemoryLimitStore } from '../../../packages/core/src/limit/store/memory-limit-store.ts'
import {
  type Charge,
  type HeldBan,
  type Quota,
  type Settlement,
  subjectLength,
  type Verdict,
} from '../../../packages/core/src/limit/store/store.ts'
import { banQuotaOf, chargeOf, limitsOn, quotaOf, StillClock } from './support.ts'

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** All the ways of counting there are: one that is added to the table is compared from then on. */
export const kinds = Object.keys(parameters).filter((kind): kind is AlgorithmKind => kind !== 'ban')

const windows = ['1 ms', '7 ms', '16 ms', '17 ms', '100 ms', '1 s', '7 s', 'min', 'h', 'd', '366 d']

/** Whose days are not ours; one puts its clocks forward at midnight soon after the traces begin, one back an hour later. */
const zones = ['UTC', 'Asia/Kathmandu', 'America/Santiago', 'America/Havana', 'Pacific/Apia', 'Australia/Lord_Howe']

const stillBlockedMs = 1_000

interface Made {
  readonly charge: Charge
  readonly verdict: Verdict
}

/**
 * One random history, told to the memory store and to the Redis store: every verdict must be the same, to the last
 * number. `back`: with a clock that is set back now and then. `blocking`: refusals are repeated without asking Redis.
 */
export class Trace {
  readonly #random: () => number
  readonly #clock = new StillClock()
  readonly #memory: MemoryLimitStore
  readonly #redis
  readonly #quotas: Quota[]
  readonly #bans: (Quota | undefined)[]
  readonly #back: boolean
  readonly #blocking: boolean
  readonly #spanMs: number
  readonly #made: Made[] = []
  readonly #held: Made[] = []
  readonly name: string

  constructor(client: unknown, seed: number) {
    this.#random = randomOf(seed)
    this.#back = seed % 5 === 4
    this.#blocking = seed % 5 === 3
    this.#memory = new MemoryLimitStore(this.#clock)
    this.#redis = limitsOn(client, {
      clock: this.#clock,
      time: 'clock',
      unconfirmedMs: this.#blocking ? stillBlockedMs : 0,
    })
    const first = kinds[seed % kinds.length]!
    this.#quotas = [first, this.#pick(kinds), this.#pick(kinds)].map((kind, i) => this.#quota(kind, i))
    this.#spanMs = Math.max(...this.#quotas.map(({ algorithm }) => algorithm.stateTtlMs)) ** this.#random()
    // Of repeated refusals only what is certain is the same.
    this.#bans = this.#quotas.map((quota) => (this.#blocking || this.#random() < 0.4 ? undefined : this.#ban(quota)))
    this.name = `seed ${seed}: ${this.#quotas.map(({ id }) => id).join(' ')}`
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #quota(algorithm: AlgorithmKind, i: number): Quota {
    const many = this.#random() < 0.1 && algorithm !== 'sliding-log'
    const n = 1 + this.#below(many ? 1_000_000 : 20)
    const burst = algorithm === 'token-bucket' && this.#random() < 0.5 ? ` burst ${1 + this.#below(30)}` : ''
    const every = algorithm === 'calendar-window' ? `calendar ${this.#pick(calendarUnits)}` : this.#pick(windows)
    const rate = algorithm === 'concurrent' ? `${n} concurrent` : `${n}/${every}${burst}`
    const shadow = i > 0 && this.#random() < 0.15
    const timeZone = this.#pick(zones)
    return quotaOf(rate, { algorithm, name: `q${i}`, shadow, timeZone, permitTtlMs: 1_000 + this.#below(60_000) })
  }

  /** At a deploy, or for a plan that was changed: another rate of the same policy, counted in another way now and then. */
  #change(): void {
    const i = this.#below(this.#quotas.length)
    const { id, algorithm } = this.#quotas[i]!
    const others = kinds.filter((kind) => (kind === 'concurrent') === (algorithm.kind === 'concurrent'))
    const kind = this.#random() < 0.7 ? (algorithm.kind as AlgorithmKind) : this.#pick(others)
    this.#quotas[i] = { ...this.#quota(kind, i), id }
    if (this.#bans[i]) this.#bans[i] = this.#ban(this.#quotas[i])
  }

  #ban({ policy, shadow }: Quota): Quota {
    const forMs = this.#random() < 0.1 ? 0 : 1 + this.#below(this.#spanMs)
    const rules = {
      after: this.#random() < 0.1 ? 101 + this.#below(50) : 1 + this.#below(5),
      withinMs: 1 + this.#below(3 * this.#spanMs),
      forMs,
      factor: this.#pick([1, 1.5, 2, 2.7]),
      maxMs: forMs * this.#pick([1, 3, 20]),
      forgetMs: this.#random() < 0.2 ? 0 : this.#below(10 * this.#spanMs),
    }
    return banQuotaOf(rules, { policy, shadow })
  }

  /** Behind the charges of each policy what asks about its ban. */
  #withBans(charges: readonly Charge[]): readonly Charge[] {
    return charges.flatMap((charge) => {
      const ban = this.#bans[this.#quotas.indexOf(charge.quota)]
      return ban ? [charge, chargeOf(ban, charge.key.slice(0, subjectLength), 0)] : [charge]
    })
  }

  async run(steps: number): Promise<void> {
    if (this.#back) {
      // The memory store lets idle keys go when a new one comes; which by a clock that runs backwards is too early.
      for (const quota of this.#quotas)
        for (const subject of ['a', 'b']) await this.#consume([chargeOf(quota, subject)])
      for (const ban of this.#bans) for (const subject of ['a', 'b']) if (ban) await this.#shut(ban, subject, 1)
    }
    for (let i = 0; i < steps; i++) {
      this.#pass()
      try {
        await this.#step()
      } catch (error) {
        throw new Error(`${this.name}, step ${i}, at ${this.#clock.ms}: ${(error as Error).message}`, { cause: error })
      }
    }
  }

  #pass(): void {
    // What is carried over counts from the moment of each answer; one that is repeated would differ in that.
    if (!this.#blocking && this.#random() < 0.01) this.#change()
    const dice = this.#random()
    if (dice < 0.4) return
    if (this.#back && dice > 0.97) this.#clock.ms -= this.#below(this.#spanMs)
    else if (dice > 0.95) this.#clock.ms += this.#below(3 * this.#spanMs)
    else this.#clock.ms += this.#below(Math.max(3, this.#spanMs / 20))
  }

  #step(): Promise<void> {
    const ban = this.#pick(this.#bans)
    if (ban && this.#random() < 0.06) return this.#byHand(ban)
    const dice = this.#random()
    if (dice < 0.57) return this.#consume([this.#charge(this.#pick(this.#quotas))])
    if (dice < 0.62) return this.#together()
    if (dice < 0.8) {
      const subject = this.#pick(['a', 'b'])
      return this.#blocking ? this.#peek() : this.#consume(this.#quotas.map((quota) => this.#charge(quota, subject)))
    }
    if (dice < 0.86) return this.#peek()
    if (dice < 0.93) return this.#settle()
    if (dice < 0.95) return this.#refund()
    if (dice < 0.985) return this.#renew()
    return this.#back ? this.#peek() : this.#reset()
  }

  #charge(quota: Quota, subject = this.#pick(['a', 'b'])): Charge {
    const dice = this.#random()
    const { limit } = quota.algorithm
    const cost = dice < 0.7 ? 1 : dice < 0.75 ? 0 : dice < 0.95 ? 1 + this.#below(limit) : limit + this.#below(3)
    return chargeOf(quota, subject, cost)
  }

  async #shut(ban: Quota, subject: string, forMs: number): Promise<void> {
    const by = { forMs, reason: `${forMs} "é"` }
    const charge = chargeOf(ban, subject, 0)
    expect(await this.#redis.ban(charge, by)).toBe(this.#memory.ban(charge, by))
  }

  async #byHand(ban: Quota): Promise<void> {
    const subject = this.#pick(['a', 'b'])
    const dice = this.#random()
    if (dice < 0.3) return this.#shut(ban, subject, 1 + this.#below(this.#spanMs))
    if (dice < 0.6 && !this.#back) {
      const charge = chargeOf(ban, subject, 0)
      expect(await this.#redis.unban(charge)).toBe(this.#memory.unban(charge))
      return
    }
    // Looking through all keys of a server that many traces share takes its time.
    if (dice > 0.97) {
      const policies = this.#bans.flatMap((one) => (one ? [one.policy] : []))
      const inOrder = (held: readonly HeldBan[]) => held.map((one) => JSON.stringify(one)).sort()
      expect(inOrder(await this.#redis.bans(policies))).toEqual(inOrder(this.#memory.bans(policies)))
      return
    }
    return this.#peek()
  }

  async #consume(counted: readonly Charge[]): Promise<void> {
    const charges = this.#withBans(counted)
    const expected = this.#memory.consume(charges)
    same(await this.#redis.consume(charges), expected)
    const all = expected.every(({ allowed }, i) => allowed || charges[i]!.quota.shadow)
    charges.forEach((charge, i) => {
      const made = { charge, verdict: expected[i]! }
      if (all && made.verdict.allowed) (charge.permit === '' ? this.#made : this.#held).push(made)
    })
    if (this.#made.length > 100) this.#made.splice(0, 50)
    if (this.#held.length > 200) this.#held.splice(0, 100)
  }

  /** Several requests in one turn of the event loop, which share a call. */
  async #together(): Promise<void> {
    const requests = Array.from({ length: 2 + this.#below(6) }, () => {
      const subject = this.#pick(['a', 'b'])
      const some = this.#quotas.filter(() => this.#random() < 0.5)
      return (some.length > 0 ? some : this.#quotas).map((quota) => this.#charge(quota, subject))
    })
    if (this.#blocking) return this.#consume([requests[0]![0]!])
    await Promise.all(requests.map((charges) => this.#consume(charges)))
  }

  async #peek(): Promise<void> {
    const charges = this.#withBans(this.#quotas.map((quota) => this.#charge(quota)))
    same(await this.#redis.peek(charges), this.#memory.peek(charges))
  }

  async #settle(): Promise<void> {
    const settlements: Settlement[] = [this.#made, this.#held].flatMap((list) => {
      if (list.length === 0) return []
      const [made] = list.splice(this.#below(list.length), 1)
      const { cost, permit } = made!.charge
      return [{ ...made!, refund: permit === '' ? this.#below(cost + 1) : cost }]
    })
    this.#memory.settle(settlements)
    await this.#redis.settle(settlements)
  }

  async #refund(): Promise<void> {
    const charge = this.#charge(this.#pick(this.#quotas))
    if (charge.permit !== '') return
    this.#memory.refund([charge])
    await this.#redis.refund([charge])
  }

  async #renew(): Promise<void> {
    const charges = this.#held.filter(() => this.#random() < 0.5).map(({ charge }) => charge)
    this.#memory.renew(charges)
    await this.#redis.renew(charges)
  }

  async #reset(): Promise<void> {
    const charges = [chargeOf(this.#pick(this.#quotas), this.#pick(['a', 'b']))]
    this.#memory.reset(charges)
    await this.#redis.reset(charges)
  }
}

function same(actual: readonly Verdict[], expected: readonly Verdict[]): void {
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i]!, expected[i]!]
    const equal =
      a.allowed === b.allowed &&
      a.remaining === b.remaining &&
      a.retryAfterMs === b.retryAfterMs &&
      a.resetMs === b.resetMs &&
      a.permanent === b.permanent &&
      a.limit === b.limit &&
      a.banned?.times === b.banned?.times &&
      a.banned?.begins === b.banned?.begins &&
      a.atMs === b.atMs
    // Only where it fails: a million comparisons by a matcher take a minute.
    if (!equal) expect(actual).toEqual(expected)
  }
  if (actual.length !== expected.length) expect(actual).toEqual(expected)
}
