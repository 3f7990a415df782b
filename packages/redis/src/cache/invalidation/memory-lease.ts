import type { Cancel, Clock } from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { LaneScripts } from '../store/lane-scripts.ts'
import type { Lane, LanePosition, Lanes } from '../store/lanes.ts'
import { hold, leave } from './scripts.ts'

export interface MemoryLeaseOptions {
  readonly clock: Clock
  readonly scripts: LaneScripts
  readonly lanes: Lanes
  /** What this process is called. */
  readonly member: string
  readonly leaseMs: number
  /** Something was not heard of: nothing held before this moment may be believed. */
  readonly missed: () => void
  readonly held: () => void
  readonly lost: (cause: unknown) => void
}

/** How often a lease is renewed while it lasts, so that one answer that is late costs nothing. */
const renewals = 3

/** How far clocks may drift apart while a lease lasts. */
const driftShare = 0.02

/** Until when memory may be believed, once everything up to there has been heard. */
interface Pledge {
  readonly at: LanePosition
  readonly untilMs: number
  readonly askedMs: number
}

/** What is known of one lane. */
interface Standing {
  /** Up to where everything was heard; absent where that is unknown. */
  heard: LanePosition | undefined
  /** Answers whose invalidations are still on their way here. The oldest first. */
  pledges: Pledge[]
  untilMs: number
  /** Whether nothing was asked yet since the subscription began: what was invalidated before it will not be heard of. */
  joining: boolean
  /** How often Redis is to be told how far was heard, and how often it was. */
  wanted: number
  told: number
  telling: boolean
}

/**
 * The right of this process to answer from memory, in all lanes.
 *
 * Redis is told again and again that this process is there, and answers where each lane stands. From the moment at which it
 * was asked, memory may be believed for as long as the lease lasts, once everything up to that position was heard: whoever
 * invalidates later finds this process among those whom he must wait for, no longer than its lease. That it is over is
 * measured here, by the monotonic clock of this process, from before Redis was asked: never later than anybody else does.
 */
export class MemoryLease {
  readonly #options: MemoryLeaseOptions
  readonly #standings: ReadonlyMap<Lane, Standing>
  readonly #lengthMs: number
  #untilMs = Number.NEGATIVE_INFINITY
  /** The same by the calendar, which goes on while a machine is suspended. */
  #untilWallMs = Number.NEGATIVE_INFINITY
  #count = 0
  /** Which subscription what was heard came over; 0: there is none. */
  #subscription = 0
  #subscriptions = 0
  #timer: Cancel | undefined

  constructor(options: MemoryLeaseOptions) {
    this.#options = options
    this.#lengthMs = options.leaseMs * (1 - driftShare)
    this.#standings = new Map(options.lanes.all.map((lane) => [lane, newStanding()]))
  }

  get valid(): boolean {
    return performance.now() < this.#untilMs && Date.now() < this.#untilWallMs
  }

  /** From now on everything is heard. */
  begin(): void {
    this.#subscription = ++this.#subscriptions
    for (const standing of this.#standings.values()) standing.joining = true
    this.#renew()
  }

  /** From now on something may not be heard. Others need not wait for this process. */
  end(cause: unknown): void {
    this.#stop()
    this.#options.lost(cause)
    void this.#leave()
  }

  async close(): Promise<void> {
    this.#stop()
    await this.#leave()
  }

  /**
   * An invalidation was heard of, and carried out.
   *
   * @param awaited - whether somebody waits to be told so
   */
  heard(lane: Lane, at: LanePosition, awaited: boolean): void {
    const standing = this.#standings.get(lane)!
    const { heard } = standing
    if (heard === undefined || this.#subscription === 0) return
    if (heard.epoch !== at.epoch || at.n > heard.n + 1) this.#options.missed()
    if (heard.epoch !== at.epoch || at.n > heard.n) this.#reach(standing, at)
    if (awaited) void this.#tell(lane, standing)
  }

  /** Everything up to there was heard, or what it concerned has been forgotten. */
  #reach(standing: Standing, at: LanePosition): void {
    standing.heard = at
    for (const pledge of standing.pledges) {
      if (reached(at, pledge.at)) standing.untilMs = Math.max(standing.untilMs, pledge.untilMs)
    }
    standing.pledges = standing.pledges.filter((pledge) => pledge.at.epoch === at.epoch && !reached(at, pledge.at))
    this.#reckon()
  }

  #reckon(): void {
    let untilMs = Number.POSITIVE_INFINITY
    for (const standing of this.#standings.values()) untilMs = Math.min(untilMs, standing.untilMs)
    if (untilMs <= this.#untilMs) return
    const now = performance.now()
    this.#untilMs = untilMs
    this.#untilWallMs = Date.now() + (untilMs - now)
    if (now < untilMs) this.#options.held()
  }

  #renew(): void {
    if (this.#subscription === 0) return
    const { clock, leaseMs } = this.#options
    for (const [lane, standing] of this.#standings) {
      this.#giveUpWaiting(standing)
      void this.#tell(lane, standing)
    }
    this.#timer?.()
    this.#timer = clock.after(leaseMs / renewals, () => this.#renew())
  }

  /** What Redis spoke of at the last renewal, and was not heard of since, was lost on its way. */
  #giveUpWaiting(standing: Standing): void {
    const dueMs = performance.now() - this.#options.leaseMs / (2 * renewals)
    const lost = standing.pledges.filter(({ askedMs }) => askedMs < dueMs).at(-1)
    if (!lost) return
    this.#options.missed()
    this.#reach(standing, lost.at)
  }

  /** Tells Redis how far was heard, one question at a time. */
  async #tell(lane: Lane, standing: Standing): Promise<void> {
    standing.wanted++
    if (standing.telling) return
    standing.telling = true
    while (standing.told < standing.wanted) {
      standing.told = standing.wanted
      if (this.#subscription !== 0) await this.#ask(lane, standing)
    }
    standing.telling = false
  }

  async #ask(lane: Lane, standing: Standing): Promise<void> {
    const { clock, scripts, member, leaseMs } = this.#options
    const subscription = this.#subscription
    const askedMs = performance.now()
    const { epoch = '', n = 0 } = standing.heard ?? {}
    this.#count = (this.#count + 1) % 2 ** 32
    try {
      const asked = scripts.run(lane, hold, [], [member, epoch, n, leaseMs, this.#count])
      const at = await withDeadline(clock, leaseMs, 'renew the lease of memory', asked)
      if (subscription !== this.#subscription) return
      this.#answered(standing, { at: { epoch: at.epoch, n: at.n }, untilMs: askedMs + this.#lengthMs, askedMs })
    } catch (error) {
      if (subscription === this.#subscription && subscription !== 0 && !this.valid) this.#options.lost(error)
    }
  }

  #answered(standing: Standing, pledge: Pledge): void {
    const { heard, joining } = standing
    standing.pledges.push(pledge)
    standing.joining = false
    if (heard && reached(heard, pledge.at)) {
      this.#reach(standing, heard)
    } else if (joining || heard?.epoch !== pledge.at.epoch) {
      // From before this process listened, or before the lane lost its memory: what is in its own may be older.
      this.#options.missed()
      this.#reach(standing, pledge.at)
    }
    // Else what was invalidated is on its way here.
  }

  async #leave(): Promise<void> {
    const { clock, scripts, lanes, member, leaseMs } = this.#options
    const left = lanes.all.map((lane) => scripts.run(lane, leave, [], [member]))
    await withDeadline(clock, leaseMs / renewals, 'leave', Promise.all(left)).catch(() => {})
  }

  #stop(): void {
    this.#timer?.()
    this.#subscription = 0
    this.#untilMs = Number.NEGATIVE_INFINITY
    for (const standing of this.#standings.values()) {
      standing.pledges = []
      standing.untilMs = Number.NEGATIVE_INFINITY
    }
  }
}

const newStanding = (): Standing => ({
  heard: undefined,
  pledges: [],
  untilMs: Number.NEGATIVE_INFINITY,
  joining: true,
  wanted: 0,
  told: 0,
  telling: false,
})

/** Whether everything up to `at` was heard. */
function reached(heard: LanePosition, at: LanePosition): boolean {
  return heard.epoch === at.epoch && heard.n >= at.n
}
