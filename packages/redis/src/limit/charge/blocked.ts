import { asksBan, type Charge, type Clock, type Verdict } from '@sluice/core'
import type { ReleaseMessages } from './messages.ts'
import { Releases } from './releases.ts'

/**
 * How long a refusal is repeated without asking Redis, at most, where nobody tells whether it still holds. It bounds how
 * long a process may go on refusing after another one has reset the key or given units back.
 */
export const unconfirmedMs = 1_000

/** How many refused keys are remembered. The ones refused longest ago leave first. */
const maxKeys = 10_000

interface Refusal {
  readonly name: string
  readonly charges: readonly Charge[]
  readonly verdicts: readonly Verdict[]
  readonly arrivedMs: number
  /** Until when it is repeated whoever may have been missed. */
  readonly unconfirmedUntilMs: number
  /** The key is shut out, whatever else is asked of it. */
  readonly banned: boolean
  untilMs: number
}

export interface BlockedOptions {
  readonly clock: Clock
  /** What release messages call a charge's key. */
  readonly nameOf: (charge: Charge) => string
  /** What others give back. Without it nothing is repeated for longer than a second. */
  readonly messages?: Pick<ReleaseMessages, 'listen' | 'sinceMs' | 'reliableUntilMs'> | undefined
  /** At most; 0 asks Redis each time. Default {@link unconfirmedMs}. */
  readonly unconfirmedMs?: number | undefined
}

/** When a question was asked, to hold its answer against what was heard of since. */
export interface Asked {
  /** The state it is answered from is no older. */
  readonly sentMs: number
  readonly moment: number
}

/**
 * Keys that are known to be used up. A refused request costs a round trip once, and then none until its time is up,
 * however often it comes; while messages of other processes may be missed, one in a second.
 *
 * Only what is certain is told: a key of which nothing at all was left has nothing until some comes back by
 * itself, at a time that Redis has said, or is given back, of which there is a message. What was counted in other keys of the
 * same request may be as old as the refusal. Concurrent permits come back at any time, so they are never blocked.
 *
 * Where a policy has a ban its refusals are counted, in Redis and for all processes: none is repeated before the ban has begun.
 * From then on nothing is counted, and whoever is shut out costs Redis nothing.
 */
export class Blocked {
  readonly #clock: Clock
  readonly #nameOf: BlockedOptions['nameOf']
  readonly #messages: BlockedOptions['messages']
  readonly #unconfirmedMs: number
  readonly #refusals = new Map<string, Refusal>()
  /** The keys by their names in messages. */
  readonly #keys = new Map<string, string>()
  readonly #releases = new Releases()

  constructor({ clock, nameOf, messages, unconfirmedMs: ms = unconfirmedMs }: BlockedOptions) {
    this.#clock = clock
    this.#nameOf = nameOf
    this.#messages = messages
    this.#unconfirmedMs = ms
  }

  get size(): number {
    return this.#refusals.size
  }

  /** What was answered to the same question, where the answer must still be the same. */
  find(charges: readonly Charge[]): readonly Verdict[] | undefined {
    if (this.#refusals.size === 0) return undefined
    for (let i = 0; i < charges.length; i++) {
      const refusal = this.#refusals.get(charges[i]!.key)
      if (!refusal || !(refusal.banned || same(refusal.charges, charges))) continue
      const now = this.#clock.now()
      if (now < refusal.untilMs && (now < refusal.unconfirmedUntilMs || now < this.#messages!.reliableUntilMs)) {
        return later(refusal, charges, Math.floor(now - refusal.arrivedMs))
      }
      this.#drop(charges[i]!.key)
    }
    return undefined
  }

  /** Before a question is sent. */
  asking(): Asked {
    return { sentMs: this.#clock.now(), moment: this.#releases.moment }
  }

  note(charges: readonly Charge[], verdicts: readonly Verdict[], { sentMs, moment }: Asked): void {
    if (this.#unconfirmedMs === 0) return
    const bans = charges.some(asksBan)
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const { quota, key } = charge
      const { allowed, permanent, remaining, resetMs, banned } = verdicts[i]!
      if (bans && !banned) continue
      if (allowed || permanent || quota.shadow || remaining > 0 || quota.algorithm.kind === 'concurrent') continue
      const name = this.#nameOf(charge)
      // The answer may be from before what was heard of meanwhile.
      if (this.#releases.since(moment, name)) continue
      this.#drop(key)
      if (this.#refusals.size >= maxKeys) this.#drop(this.#refusals.keys().next().value!)
      const unconfirmedUntilMs = sentMs + Math.min(resetMs, this.#unconfirmedMs)
      const untilMs = this.#hears(resetMs, sentMs) ? sentMs + resetMs : unconfirmedUntilMs
      const arrivedMs = this.#clock.now()
      const known = bans ? verdicts.map(begun) : verdicts
      this.#refusals.set(key, { name, charges, verdicts: known, arrivedMs, unconfirmedUntilMs, untilMs, banned: bans })
      this.#keys.set(name, key)
      return
    }
  }

  /** Whether all messages about what was true at that moment will come. */
  #hears(waitMs: number, sentMs: number): boolean {
    if (!this.#messages || waitMs <= this.#unconfirmedMs) return false
    this.#messages.listen()
    return sentMs >= this.#messages.sinceMs
  }

  /** Something of that key was given back, here or elsewhere. */
  released(name: string): void {
    this.#releases.add(name)
    const key = this.#keys.get(name)
    if (key !== undefined) this.#drop(key)
  }

  /** From now on messages may be missed. */
  doubt(): void {
    const untilMs = this.#clock.now() + this.#unconfirmedMs
    for (const refusal of this.#refusals.values()) refusal.untilMs = Math.min(refusal.untilMs, untilMs)
  }

  clear(): void {
    this.#refusals.clear()
    this.#keys.clear()
  }

  #drop(key: string): void {
    const refusal = this.#refusals.get(key)
    if (!refusal) return
    this.#refusals.delete(key)
    this.#keys.delete(refusal.name)
  }
}

function same(a: readonly Charge[], b: readonly Charge[]): boolean {
  return a.length === b.length && a.every((one, i) => sameCharge(one, b[i]!))
}

/** Also of the same rate: one that was changed may have something left. */
function sameCharge(a: Charge, b: Charge): boolean {
  return a.key === b.key && a.cost === b.cost && a.quota === b.quota
}

function later({ charges: asked, verdicts }: Refusal, charges: readonly Charge[], elapsedMs: number) {
  const since = (ms: number): number => (ms === 0 ? 0 : Math.max(1, ms - elapsedMs))
  return charges.map((charge, i) => {
    const place =
      asked === charges || (asked[i] && sameCharge(asked[i], charge))
        ? i
        : asked.findIndex((one) => sameCharge(one, charge))
    const verdict = verdicts[place] ?? unasked(charge, verdicts[0]!.atMs)
    return {
      ...verdict,
      retryAfterMs: since(verdict.retryAfterMs),
      resetMs: since(verdict.resetMs),
      atMs: verdict.atMs + elapsedMs,
    }
  })
}

/** A ban that was told of once has begun. */
function begun(verdict: Verdict): Verdict {
  return verdict.banned?.begins ? { ...verdict, banned: { ...verdict.banned, begins: false } } : verdict
}

/** Of a quota nobody was asked about, because the client is shut out anyway. */
function unasked({ quota: { algorithm }, cost }: Charge, atMs: number): Verdict {
  const permanent = cost > algorithm.limit
  return {
    allowed: !permanent,
    limit: algorithm.limit,
    remaining: 0,
    retryAfterMs: permanent ? Number.POSITIVE_INFINITY : 0,
    resetMs: 0,
    permanent,
    atMs,
    via: 'store',
  }
}
