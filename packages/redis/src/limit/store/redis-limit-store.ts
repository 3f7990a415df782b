import type { Charge, Clock, LimitStore, LimitStoreUsage, Settlement, Verdict } from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { Link } from '../../connection/link.ts'

import { tryOut } from '../../connection/script.ts'
import { Batches, type Taken, type Unused } from '../charge/batches.ts'
import { Blocked } from '../charge/blocked.ts'
import { Decisions } from '../charge/decisions.ts'
import { ReleaseMessages } from '../charge/messages.ts'
import { Periods } from '../charge/periods.ts'
import { answersIn, type KeyAnswer, verdictFor } from './answers.ts'
import { RedisBans } from './bans.ts'
import { forgetAll } from './forget-all.ts'
import { LimitKeys, nameOf, strictestFirst, subjectOf } from './keys.ts'
import { nodesOf } from './nodes.ts'
import type { RedisLimitStoreOptions } from './options.ts'
import { inParts } from './parts.ts'
import { forget, type Letter, LimitScripts } from './scripts.ts'
import { missingOf, type Spec, Specs } from './spec.ts'

/** How long such calls may take. Decisions have a shorter deadline: the limiter's. */
const quietMs = 1_000

/**
 * Counts in Redis, for all processes that share it: one script per request at most, whatever the number of its policies. In a
 * Cluster one per subject of the request, the strictest first, and given back where a later one refuses.
 */
export class RedisLimitStore implements LimitStore {
  readonly kind = 'remote'
  readonly secret: string
  readonly deadlineMs: number
  readonly #link: Link
  readonly #clock: Clock
  readonly #time: 'server' | 'clock'
  readonly #keys: LimitKeys
  readonly #scripts = new LimitScripts()
  readonly #specs = new Specs()
  readonly #periods = new Periods(() => this.#clock.now())
  readonly #decisions: Decisions
  readonly #blocked: Blocked
  readonly #messages: ReleaseMessages | undefined
  readonly #batches: Batches
  readonly ban: NonNullable<LimitStore['ban']>
  readonly unban: NonNullable<LimitStore['unban']>
  readonly bans: NonNullable<LimitStore['bans']>
  #closed = false

  constructor(options: RedisLimitStoreOptions) {
    const { link, clock, namespace, deadlineMs = 100, unconfirmedMs, open, time = 'server' } = options
    const { client } = link
    this.#link = link
    this.#clock = clock
    this.#time = time
    this.deadlineMs = deadlineMs
    // Known to whoever knows the namespace. It keeps addresses from standing there, not from being guessed.
    this.secret = `sluice:${namespace}`
    this.#keys = new LimitKeys(namespace, client)
    this.#decisions = new Decisions({ link, scripts: this.#scripts, periods: this.#periods, now: () => this.#now() })
    const channel = (): string => this.#keys.channel
    const released = (name: string): void => this.#blocked.released(name)
    this.#messages =
      open && new ReleaseMessages({ clock, client, channel, open, released, lost: () => this.#blocked.doubt() })
    this.#blocked = new Blocked({
      clock,
      nameOf: (charge) => this.#nameOf(charge),
      messages: this.#messages,
      unconfirmedMs,
    })
    this.#batches = new Batches({
      clock,
      giveBack: (unused) => void this.#return(unused),
      takeMore: (charge, { take }) => this.#takeMore(charge, take),
    })
    const bans = this.#bans()
    this.ban = (charge, by) => bans.ban(charge, by)
    this.unban = (charge) => bans.unban(charge)
    this.bans = (policies) => bans.list(policies)
  }

  #bans(): RedisBans {
    return new RedisBans({
      link: this.#link,
      clock: this.#clock,
      keys: this.#keys,
      scripts: this.#scripts,
      specs: this.#specs,
      now: () => this.#now(),
      released: (charge) => this.#blocked.released(this.#nameOf(charge)),
    })
  }

  partOf(charges: readonly Charge[]): string {
    return nodesOf(this.#link.client, charges)
  }

  probe(charges: readonly Charge[]): Promise<unknown> {
    const keys = [...new Set(charges.map(subjectOf))].map((subject) => this.#keys.probe(subject))
    return this.#link.probe(keys.map((key) => this.#link.run({ script: tryOut, keys: [key], args: [] })))
  }

  decided(charges: readonly Charge[]): readonly Verdict[] | undefined {
    return (this.#inAdvance(charges) ? this.#batches.take(charges) : undefined) ?? this.#blocked.find(charges)
  }

  consume(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    const known = this.decided(charges)
    if (known) return Promise.resolve(known)
    return this.#inAdvance(charges) ? this.#consumeInAdvance(charges) : this.#charge(charges)
  }

  /** Only where all the units of a request can be: else it has to ask anyway. */
  #inAdvance(charges: readonly Charge[]): boolean {
    for (let i = 0; i < charges.length; i++) if (this.#specs.of(charges[i]!).take === 0) return false
    return true
  }

  async #consumeInAdvance(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    for (;;) {
      const others = this.#batches.fetching(charges)
      if (!others) break
      await others
      const known = this.decided(charges)
      if (known) return known
    }
    return this.#batches.fetch(charges, () => this.#inTime(this.#charge(charges, true)))
  }

  /** The limiter's deadline ends a request, not the wait of those behind it. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return withDeadline(this.#clock, Math.max(quietMs, 2 * this.deadlineMs), 'decide', answer)
  }

  /** Nobody has to wait for it. The first unit is a cost, as a script refuses costs; the others go beyond. */
  async #takeMore(charge: Charge, take: number): Promise<Taken> {
    const sentMs = this.#clock.now()
    const answered = await this.#inTime(this.#ask('c', [{ ...charge, cost: 1 }], [take - 1]))
    const { verdict, extra } = answered[0]!
    const units = verdict.allowed ? 1 + extra : 0
    return { charged: units, units, verdict, sentMs }
  }

  #charge(charges: readonly Charge[], inAdvance = false): Promise<readonly Verdict[]> {
    const asked = this.#blocked.asking()
    const extras = inAdvance ? charges.map((charge) => this.#extra(charge)) : undefined
    const together = !this.#link.client.isCluster || charges.every((one) => subjectOf(one) === subjectOf(charges[0]!))
    const answered = together ? this.#ask('c', charges, extras) : this.#bySubject(charges, extras)
    return answered.then((answers) => {
      // What was taken beyond is left, for this process.
      const verdicts = answers.map(({ verdict: one, extra }) =>
        extra ? { ...one, remaining: one.remaining + extra } : one,
      )
      this.#blocked.note(charges, verdicts, asked)
      if (inAdvance) this.#keep(charges, answers, asked.sentMs)
      return verdicts
    })
  }

  #keep(charges: readonly Charge[], answered: readonly KeyAnswer[], sentMs: number): void {
    charges.forEach((charge, i) => {
      const { extra, verdict } = answered[i]!
      if (extra === 0) return
      const taken = { charged: charge.cost + extra, units: extra, verdict, sentMs }
      this.#batches.put(charge, this.#specs.of(charge), taken)
    })
  }

  #extra(charge: Charge): number {
    const { take } = this.#specs.of(charge)
    return this.#batches.units(charge.key) > 0 ? 0 : Math.max(0, take - charge.cost)
  }

  /** Subjects in different slots, one after the other: all or none, by giving back. */
  async #bySubject(charges: readonly Charge[], extras: readonly number[] | undefined): Promise<readonly KeyAnswer[]> {
    const answered: KeyAnswer[] = []
    const groups = strictestFirst(charges)
    const charged: number[] = []
    for (const [at, group] of groups.entries()) {
      const pick = group.map((i) => charges[i]!)
      let answer: readonly KeyAnswer[]
      try {
        answer = await this.#ask('c', pick, extras && group.map((i) => extras[i]!))
      } catch (error) {
        void this.#return(charged.flatMap((i) => taken(charges[i]!, answered[i]!, this.#specs.of(charges[i]!))))
        throw error
      }
      group.forEach((i, n) => {
        answered[i] = answer[n]!
      })
      if (pick.every(({ quota }, n) => quota.shadow || answer[n]!.verdict.allowed)) {
        charged.push(...group)
        continue
      }
      await this.#takeBack(charges, charged, answered)
      await this.#look(charges, groups.slice(at + 1).flat(), answered)
      break
    }
    return answered
  }

  async #takeBack(charges: readonly Charge[], charged: readonly number[], answered: KeyAnswer[]): Promise<void> {
    const back = charged.filter((i) => answered[i]!.verdict.allowed)
    const answers = await this.#giveBack(
      back.flatMap((i) => taken(charges[i]!, answered[i]!, this.#specs.of(charges[i]!))),
    ).catch(() => [])
    back.forEach((i, n) => {
      const after = answers[n]?.verdict
      const { verdict } = answered[i]!
      // Where it could not be given back it stays charged, and says so.
      answered[i] = { verdict: after ? { ...after, atMs: verdict.atMs } : verdict, extra: 0 }
    })
  }

  async #look(charges: readonly Charge[], indices: readonly number[], answered: KeyAnswer[]): Promise<void> {
    const asked = indices.map((i) => charges[i]!)
    const answers = await this.#each(asked, (part) => this.#ask('p', part)).catch(() => [])
    indices.forEach((i, n) => {
      answered[i] = answers[n] ?? { verdict: this.#unknown(charges[i]!), extra: 0 }
    })
  }

  /** Of a quota that did not refuse, and whose node does not answer. */
  #unknown(charge: Charge): Verdict {
    return verdictFor(this.#specs.of(charge), Math.floor(this.#clock.now()), [0, 0, 0])
  }

  async peek(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    const answered = await this.#each(charges, (part) => this.#ask('p', part))
    return answered.map(({ verdict }, i) => {
      const own = this.#batches.units(charges[i]!.key)
      if (own === 0) return verdict
      const enough = own >= charges[i]!.cost && !verdict.permanent
      const allowed = verdict.allowed || enough
      const retryAfterMs = enough ? 0 : verdict.retryAfterMs
      return { ...verdict, allowed, retryAfterMs, remaining: verdict.remaining + own }
    })
  }

  async settle(settlements: readonly Settlement[]): Promise<void> {
    const back: Unused[] = []
    for (const { charge, verdict, refund } of settlements) {
      const units = Math.min(refund, charge.cost)
      if (!verdict.allowed || (units === 0 && charge.permit === '')) continue
      if (charge.permit === '') this.#blocked.released(this.#nameOf(charge))
      if (this.#specs.of(charge).take > 0 && this.#batches.putBack(charge, units, verdict.atMs)) continue
      back.push({ charge, units, atMs: verdict.atMs, missing: missingOf(this.#specs.of(charge), verdict) })
    }
    await this.#giveBack(back)
  }

  async refund(charges: readonly Charge[]): Promise<void> {
    const asked: Charge[] = []
    for (const charge of charges) {
      this.#blocked.released(this.#nameOf(charge))
      if (this.#specs.of(charge).take > 0) this.#batches.refund(charge)
      else asked.push(charge)
    }
    await this.#giveBack(asked.map((charge) => ({ charge, units: charge.cost, atMs: undefined, missing: undefined })))
  }

  /** The charges of one key are renewed together. */
  async renew(charges: readonly Charge[]): Promise<void> {
    const together = new Map<string, { charge: Charge; permits: string[] }>()
    for (const charge of charges) {
      // A rate that was changed leaves permits of either.
      const name = `${charge.key} ${this.#specs.of(charge).text}`
      const same = together.get(name)
      if (same) same.permits.push(charge.permit)
      else together.set(name, { charge, permits: [charge.permit] })
    }
    const permits = new Map([...together.values()].map((one) => [one.charge, JSON.stringify(one.permits)]))
    await this.#each([...permits.keys()], async (part) => {
      const args = part.flatMap((charge) => [this.#specs.of(charge).text, permits.get(charge)!])
      await this.#quietly('renew', part, args)
      return part
    })
  }

  async reset(charges: readonly Charge[]): Promise<void> {
    for (const charge of charges) {
      this.#blocked.released(this.#nameOf(charge))
      this.#batches.drop(charge.key)
    }
    await this.#each(charges, async (part) => {
      const keys = part.map((charge) => this.#key(charge))
      const call = { script: forget, keys, args: [this.#keys.channel] }
      await withDeadline(this.#clock, quietMs, 'reset', this.#link.run(call))
      return part
    })
  }

  resetAll(policy: string, subject?: string): Promise<number> {
    this.#batches.dropAll(policy, subject)
    const released = (key: string): void => this.#blocked.released(nameOf(key))
    return forgetAll({ link: this.#link, clock: this.#clock, keys: this.#keys, released }, policy, subject)
  }

  /** Redis knows how many keys there are; a process does not. */
  usage(): LimitStoreUsage {
    return { entries: 0, evictions: 0, overflowed: 0 }
  }

  /** Returns the units that were taken in advance and not used. The connection is not the store's to close. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#blocked.clear()
    this.#messages?.close()
    await this.#return(this.#batches.close())
  }

  async #return(unused: readonly Unused[]): Promise<void> {
    // What cannot be returned comes back by itself, as everything that was used does.
    await this.#giveBack(unused).catch(() => undefined)
  }

  async #giveBack(
    back: readonly (Omit<Unused, 'atMs'> & { readonly atMs: number | undefined })[],
  ): Promise<KeyAnswer[]> {
    const units = new Map(back.map((one) => [one.charge, one]))
    return this.#each(
      back.map(({ charge }) => charge),
      async (part) => {
        const args = part.flatMap((charge) => {
          const one = units.get(charge)!
          const spec = this.#periods.argumentOf(this.#specs.of(charge))
          return [spec, one.units, one.atMs ?? '', charge.permit, one.missing ?? '']
        })
        args.push(this.#keys.channel)
        return this.#answersOf(part, (await this.#quietly('giveBack', part, args)) as readonly unknown[])
      },
    )
  }

  #quietly(script: 'giveBack' | 'renew', charges: readonly Charge[], args: readonly (string | number)[]) {
    const call = {
      script: this.#scripts.get(script, script === 'renew' ? ['c'] : this.#letters(charges)),
      keys: charges.map((charge) => this.#key(charge)),
      args: [this.#now(), ...args],
    }
    return withDeadline(this.#clock, quietMs, 'take units back', this.#link.run(call))
  }

  #each<T>(charges: readonly Charge[], run: (part: readonly Charge[]) => Promise<readonly T[]>): Promise<T[]> {
    return inParts(charges, this.#link.client.isCluster, run)
  }

  #ask(mode: 'c' | 'p', charges: readonly Charge[], extras?: readonly number[]): Promise<readonly KeyAnswer[]> {
    const specs = charges.map((charge) => this.#specs.of(charge))
    const keys = charges.map((charge) => this.#key(charge))
    const decision = { charges, specs, keys, extras }
    const read = (numbers: readonly unknown[], at: number): readonly KeyAnswer[] =>
      this.#answersOf(charges, numbers, at)
    return mode === 'c' ? this.#decisions.charge(decision, read) : this.#decisions.look(decision, read)
  }

  #answersOf(charges: readonly Charge[], numbers: readonly unknown[], at = 1): readonly KeyAnswer[] {
    return answersIn(
      numbers,
      at,
      charges.map((charge) => this.#specs.of(charge)),
    )
  }

  #letters(charges: readonly Charge[]): readonly Letter[] {
    return charges.map((charge) => this.#specs.of(charge).letter)
  }

  #key(charge: Charge): string {
    return this.#keys.of(charge, this.#specs.of(charge).take > 0)
  }

  #nameOf(charge: Charge): string {
    return nameOf(this.#key(charge))
  }

  #now(): string {
    return this.#time === 'clock' ? String(Math.floor(this.#clock.now())) : ''
  }
}

/** What was taken of a key, to give it back. */
function taken(charge: Charge, { verdict, extra }: KeyAnswer, spec: Spec): Unused[] {
  const missing = missingOf(spec, verdict)
  return verdict.allowed ? [{ charge, units: charge.cost + extra, atMs: verdict.atMs, missing }] : []
}
