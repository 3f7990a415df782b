import type { Cancel, Charge, Clock, Verdict } from '@sluice/core'
import { holdMsOf, missingOf, type Spec } from '../store/spec.ts'

/** Units of one key that were charged in advance, and are this process's to use until their time is over. */
interface Batch {
  readonly charge: Charge
  readonly spec: Spec
  /** What is left of those that were charged. */
  units: number
  readonly charged: number
  /** Of a token bucket: how many were missing then. */
  readonly missing: number | undefined
  /** When they were charged, by Redis's clock: what giving them back has to name. */
  readonly atMs: number
  /** By this process's clock, counted from when they were asked for: never later than Redis would say. */
  readonly untilMs: number
  /** What Redis had left besides, and until when there was no more. */
  readonly remaining: number
  readonly resetAtMs: number
  /** Fetched while this one was still in use. */
  next: Batch | undefined
  /** The next one is being fetched, or there is none to be had. */
  prefetched: boolean
}

/** Units that were charged, and how many of them are there to be used. */
export interface Taken {
  readonly charged: number
  readonly units: number
  readonly verdict: Verdict
  /** When they were asked for. */
  readonly sentMs: number
}

/** The next batch is fetched when of this one less than this part is left, so that nobody has to wait for it. */
const lastPart = 1 / 4

/** Units to give back. */
export interface Unused {
  readonly charge: Charge
  readonly units: number
  readonly atMs: number
  readonly missing: number | undefined
}

export interface BatchesOptions {
  readonly clock: Clock
  /** Gives units back to Redis. Never throws. */
  readonly giveBack: (unused: readonly Unused[]) => void
  /** Takes as many units of that key as are taken at a time, or none. */
  readonly takeMore: (charge: Charge, spec: Spec) => Promise<Taken>
}

/** The units a process has taken in advance (`lease: n`), by key. What is not used in time goes back. */
export class Batches {
  readonly #clock: Clock
  readonly #giveBack: BatchesOptions['giveBack']
  /** The oldest first. */
  readonly #batches = new Map<string, Batch>()
  /** Keys for which units are being fetched: who needs them too waits, or fifty requests would fetch fifty batches. */
  readonly #fetching = new Map<string, Promise<unknown>>()
  readonly #takeMore: BatchesOptions['takeMore']
  #cancel: Cancel | undefined

  constructor({ clock, giveBack, takeMore }: BatchesOptions) {
    this.#clock = clock
    this.#giveBack = giveBack
    this.#takeMore = takeMore
  }

  /** Charges all of them to what is here, or none. */
  take(charges: readonly Charge[]): readonly Verdict[] | undefined {
    if (this.#batches.size === 0) return undefined
    const now = this.#clock.now()
    for (let i = 0; i < charges.length; i++) if (!this.#live(charges[i]!, now)) return undefined
    return charges.map(({ key, cost }) => {
      const batch = this.#batches.get(key)!
      batch.units -= cost
      if (!batch.prefetched && batch.units < batch.spec.take * lastPart) void this.#prefetch(key, batch)
      return {
        allowed: true,
        limit: batch.spec.limit,
        remaining: (batch.next ?? batch).remaining + batch.units + (batch.next?.units ?? 0),
        retryAfterMs: 0,
        resetMs: Math.max(1, Math.ceil(batch.resetAtMs - now)),
        permanent: false,
        atMs: batch.atMs,
        via: 'store',
      }
    })
  }

  /** A batch that is enough, which may be the next one. */
  #live({ key, cost, quota }: Charge, now: number): Batch | undefined {
    const batch = this.#batches.get(key)
    // Of a rate that was changed since they were not taken.
    if (batch?.charge.quota !== quota) return undefined
    if (batch.units >= cost && now < batch.untilMs) return batch
    const { next } = batch
    if (!next || next.units < cost || now >= next.untilMs) return undefined
    // Behind all others: its time is over later than theirs.
    this.#batches.delete(key)
    this.#batches.set(key, next)
    if (batch.units > 0) this.#giveBack([batch])
    return next
  }

  async #prefetch(key: string, batch: Batch): Promise<void> {
    batch.prefetched = true
    if (batch.remaining === 0) return
    // Whoever needs units meanwhile waits for these, and finds them in their place.
    const fetched = this.fetch([batch.charge], () => this.#fetchNext(key, batch))
    // Where that failed, whoever needs units asks for them and learns why there are none.
    await fetched.catch(() => {})
  }

  async #fetchNext(key: string, batch: Batch): Promise<void> {
    const taken = await this.#takeMore(batch.charge, batch.spec)
    if (taken.units === 0) return
    // A charge of its own: what is given back is told apart by its charge.
    const next = this.#batch({ ...batch.charge }, batch.spec, taken)
    // It may have been replaced or dropped meanwhile.
    if (this.#batches.get(key) === batch) batch.next = next
    else this.#giveBack([next])
  }

  /** Units of that key that could be used now. */
  units(key: string): number {
    const batch = this.#batches.get(key)
    const now = this.#clock.now()
    let units = 0
    for (let one = batch; one; one = one.next) if (now < one.untilMs) units += one.units
    return units
  }

  /** Resolves when somebody has fetched what one of the charges needs; rejects where that failed. */
  fetching(charges: readonly Charge[]): Promise<unknown> | undefined {
    if (this.#fetching.size === 0) return undefined
    for (let i = 0; i < charges.length; i++) {
      const fetching = this.#fetching.get(charges[i]!.key)
      if (fetching) return fetching
    }
    return undefined
  }

  async fetch<T>(charges: readonly Charge[], ask: () => Promise<T>): Promise<T> {
    const asked = ask()
    for (const { key } of charges) this.#fetching.set(key, asked)
    try {
      return await asked
    } finally {
      for (const { key } of charges) if (this.#fetching.get(key) === asked) this.#fetching.delete(key)
    }
  }

  put(charge: Charge, spec: Spec, taken: Taken): void {
    const before = this.#batches.get(charge.key)
    this.#batches.delete(charge.key)
    this.#batches.set(charge.key, this.#batch(charge, spec, taken))
    if (before) this.#giveBackAll([before])
    this.#cancel ??= this.#clock.after(spec.holdMs, () => this.#sweep())
  }

  #batch(charge: Charge, spec: Spec, { charged, units, verdict, sentMs }: Taken): Batch {
    const { atMs, remaining, resetMs } = verdict
    return {
      charge,
      spec,
      units,
      charged,
      missing: missingOf(spec, verdict),
      atMs,
      remaining,
      resetAtMs: this.#clock.now() + resetMs,
      untilMs: sentMs + holdMsOf(spec, verdict),
      next: undefined,
      prefetched: false,
    }
  }

  #giveBackAll(batches: readonly Batch[]): void {
    const unused = unusedOf(batches)
    if (unused.length > 0) this.#giveBack(unused)
  }

  /** Puts units back that a batch here was charged for; whether there was one. */
  putBack({ key }: Charge, units: number, atMs: number): boolean {
    const batch = this.#batches.get(key)
    if (batch?.atMs !== atMs || this.#clock.now() >= batch.untilMs) return false
    batch.units += units
    return true
  }

  /**
   * Gives units back without saying which: of those this process has used and still holds the rest of, no others. What
   * Redis has charged besides is somebody's to use.
   */
  refund({ key, cost }: Charge): void {
    const batch = this.#batches.get(key)
    if (batch && this.#clock.now() < batch.untilMs) batch.units = Math.min(batch.charged, batch.units + cost)
  }

  drop(key: string): void {
    this.#batches.delete(key)
  }

  /** All of a policy, or of one of its subjects. */
  dropAll(policy: string, subject = ''): void {
    for (const [key, { charge }] of this.#batches) {
      if (charge.quota.policy === policy && key.startsWith(subject)) this.#batches.delete(key)
    }
  }

  /** Gives back what is over. Stops at the first that is not: who was put there later is mostly over later. */
  #sweep(): void {
    const now = this.#clock.now()
    const over: Batch[] = []
    this.#cancel = undefined
    for (const [key, batch] of this.#batches) {
      const { untilMs } = batch.next ?? batch
      if (now < untilMs) {
        this.#cancel = this.#clock.after(Math.max(1, untilMs - now), () => this.#sweep())
        break
      }
      this.#batches.delete(key)
      over.push(batch)
    }
    this.#giveBackAll(over)
  }

  /** Stops the timer; answers with all that was not used. */
  close(): readonly Unused[] {
    this.#cancel?.()
    this.#cancel = undefined
    const unused = unusedOf([...this.#batches.values()])
    this.#batches.clear()
    return unused
  }
}

function unusedOf(batches: readonly Batch[]): readonly Unused[] {
  return batches.flatMap((batch) => [batch, ...(batch.next ? [batch.next] : [])]).filter(({ units }) => units > 0)
}
