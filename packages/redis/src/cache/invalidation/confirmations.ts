import { type Cancel, systemClock } from '@sluice/core'
import type { LaneScripts } from '../store/lane-scripts.ts'
import type { Lane, LanePosition } from '../store/lanes.ts'
import { leave, member, members } from './scripts.ts'

/** What the script that invalidates answered about those who answer from memory. */
export interface Told extends LanePosition {
  /** All that are known, packed. */
  readonly members: Buffer
  /** For how long all are known that there are. Milliseconds. */
  readonly knownMs: number
}

export interface ConfirmationsOptions {
  readonly scripts: LaneScripts
  /** What this process is called: its own memory has forgotten already. */
  readonly member: string
  /** How long a lease lasts of a process that is not known. Milliseconds; 0: there is no such process. */
  readonly leaseMs: number
}

/** How long until Redis is asked for the first time who has heard; doubled each time, up to the second number. */
const pausesMs = [1, 32] as const

/** What is waited for beyond the end of a lease. */
const marginMs = 10

interface Awaiting {
  readonly at: LanePosition
  /** Those who have not said that they have heard, with all that stands of them. */
  others: Map<string, Buffer>
  /** When the last lease is over that there was when it was invalidated. */
  readonly untilMs: number
  /** Whether there may be some that are not known. */
  readonly unknown: boolean
  readonly resolve: () => void
}

interface Waiting {
  readonly all: Set<Awaiting>
  pauseMs: number
  timer: Cancel | undefined
}

/**
 * Waits until every process that answers from memory has heard of an invalidation, or has stopped to answer from memory
 * because its lease is over.
 *
 * That a lease is over is measured here, by the monotonic clock of this process, from when Redis answered: nobody's
 * calendar matters, not that of the server either. Who has heard says so to Redis, where it is looked up: so it does
 * not matter whose connections break.
 */
export class Confirmations {
  readonly #options: ConfirmationsOptions
  readonly #clock = systemClock()
  readonly #lanes = new Map<Lane, Waiting>()
  #closed = false

  constructor(options: ConfirmationsOptions) {
    this.#options = options
  }

  /** Never rejects, and never takes longer than the longest lease. */
  of(lane: Lane, { epoch, n, members: packed, knownMs }: Told): Promise<void> {
    const at = { epoch, n }
    const { leaseMs } = this.#options
    const unknownMs = knownMs < leaseMs ? leaseMs - knownMs : 0
    const others = this.#unheard(packed, n)
    if (others.size === 0 && unknownMs === 0) return Promise.resolve()
    const leases = [...others.values()].map((one) => one.readUInt32BE(member.leaseMs))
    const untilMs = performance.now() + Math.max(unknownMs, ...leases) + marginMs
    return new Promise((resolve) => {
      const waiting = this.#lanes.get(lane) ?? { all: new Set(), pauseMs: 0, timer: undefined }
      this.#lanes.set(lane, waiting)
      waiting.all.add({ at, others, untilMs, unknown: unknownMs > 0, resolve })
      waiting.pauseMs = pausesMs[0]
      this.#later(lane, waiting)
    })
  }

  close(): void {
    this.#closed = true
    for (const { all, timer } of this.#lanes.values()) {
      timer?.()
      for (const { resolve } of all) resolve()
    }
    this.#lanes.clear()
  }

  /** Those who have a lease and have not heard so far, but for this process. */
  #unheard(packed: Buffer, n: number): Map<string, Buffer> {
    const others = new Map<string, Buffer>()
    for (let at = 0; at + member.bytes <= packed.length; at += member.bytes) {
      const one = packed.subarray(at, at + member.bytes)
      const name = one.toString('latin1', member.name, member.heard)
      if (name !== this.#options.member && one.readDoubleBE(member.heard) < n) others.set(name, one)
    }
    return others
  }

  #later(lane: Lane, waiting: Waiting): void {
    waiting.timer?.()
    waiting.timer = this.#clock.after(waiting.pauseMs, () => {
      waiting.timer = undefined
      void this.#look(lane, waiting)
    })
    waiting.pauseMs = Math.min(waiting.pauseMs * 2, pausesMs[1])
  }

  async #look(lane: Lane, waiting: Waiting): Promise<void> {
    const asked = [...waiting.all]
    const { scripts } = this.#options
    // Whatever becomes of the answer: leases end by themselves.
    const answer = await Promise.race([
      scripts.run(lane, members, [], []).catch(() => undefined),
      new Promise<undefined>((resolve) => this.#clock.after(pausesMs[1] * 4, () => resolve(undefined))),
    ])
    const now = performance.now()
    for (const one of asked) {
      if (answer && answer.epoch === one.at.epoch) {
        const unheard = this.#unheard(answer.values[2] as Buffer, one.at.n)
        one.others = new Map([...one.others].filter(([name]) => unheard.has(name)))
        if (now >= one.untilMs) this.#forget(lane, one, unheard)
      }
      if (now < one.untilMs && (one.unknown || one.others.size > 0)) continue
      waiting.all.delete(one)
      one.resolve()
    }
    if (waiting.all.size > 0 && !this.#closed && waiting.timer === undefined) this.#later(lane, waiting)
  }

  /** Whoever has not been heard of since has gone: nobody need wait for him again. */
  #forget(lane: Lane, { others }: Awaiting, now: ReadonlyMap<string, Buffer>): void {
    for (const [name, before] of others) {
      const still = now.get(name)
      if (still?.equals(before)) this.#options.scripts.run(lane, leave, [], [still]).catch(() => {})
    }
  }
}
