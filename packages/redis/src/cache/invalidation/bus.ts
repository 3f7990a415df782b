import type { Clock, InvalidateMode } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import { Listener } from '../../connection/listener.ts'
import type { Lane, LanePosition, Lanes } from '../store/lanes.ts'

export interface BusOptions {
  readonly clock: Clock
  readonly lanes: Lanes
  /** Over which the bus is tried out. */
  readonly client: ScriptClient
  readonly listener: ScriptClient
  /** Where a lane stands, from Redis. */
  readonly clockOf: (lane: Lane) => Promise<LanePosition>
  readonly invalidated: (tags: readonly string[], mode: InvalidateMode) => void
  /** Something may have been missed: nothing held before this moment may be believed. */
  readonly missed: () => void
  /** It has gone down, or come back. */
  readonly changed: (live: boolean, cause: unknown) => void
  readonly beatMs?: number
  readonly deadlineMs?: number
}

/**
 * Hears of the invalidations of all processes. Each lane counts its own, and the messages carry the count: one that is
 * missing shows. Messages may also be lost in silence, so at every beat the counts are compared with those in Redis.
 *
 * While it is not live, nobody can rely on having heard everything.
 */
export class Bus {
  readonly #options: BusOptions
  readonly #listener: Listener
  /** Up to where each lane was heard; absent where that is unknown. */
  readonly #heard = new Map<Lane, LanePosition>()
  /** Of a Cluster, whose nodes pass messages on to each other: what they had counted one beat ago. */
  #before = new Map<Lane, LanePosition>()

  constructor(options: BusOptions) {
    this.#options = options
    const { clock, client, listener: connection, lanes, changed, beatMs, deadlineMs } = options
    this.#listener = new Listener({
      clock,
      client,
      connection,
      channel: lanes.channel,
      heard: (text) => this.#message(text),
      changed,
      complete: (live) => this.#compare(live),
      beatMs,
      deadlineMs,
    })
  }

  get live(): boolean {
    return this.#listener.live
  }

  close(): void {
    this.#listener.close()
  }

  #message(text: string): void {
    const told = parse(text, this.#options.lanes)
    if (!told) return
    const { lane, at, tags, mode } = told
    this.#options.invalidated(tags, mode)
    lane.note(at, lane.seen)
    const heard = this.#heard.get(lane)
    if (heard?.epoch === at.epoch && at.n <= heard.n) return
    if (heard?.epoch === at.epoch && at.n === heard.n + 1) {
      this.#heard.set(lane, at)
      return
    }
    // One before it is missing, or the lane began anew.
    this.#heard.delete(lane)
    this.#listener.doubt(new Error('a message was lost'))
  }

  /** What was invalidated before it was subscribed shows in the counts, and so does what was lost since. */
  async #compare(live: boolean): Promise<() => boolean> {
    const { client, lanes } = this.#options
    const counted = await this.#counts()
    if (!live) this.#catchUp(counted)
    const due = live && client.isCluster ? this.#before : counted
    this.#before = counted
    return () => !live || lanes.all.every((lane) => reached(this.#heard.get(lane), due.get(lane)!))
  }

  #catchUp(counted: ReadonlyMap<Lane, LanePosition>): void {
    const behind = [...counted].filter(([lane, at]) => !reached(this.#heard.get(lane), at))
    if (behind.length === 0) return
    this.#options.missed()
    for (const [lane, at] of behind) this.#heard.set(lane, at)
  }

  async #counts(): Promise<Map<Lane, LanePosition>> {
    const { lanes, clockOf } = this.#options
    const counted = lanes.all.map(async (lane) => [lane, await clockOf(lane)] as const)
    return new Map(await this.#listener.within('tell its positions', Promise.all(counted)))
  }
}

/** Whether everything up to `at` was heard. */
function reached(heard: LanePosition | undefined, at: LanePosition): boolean {
  return heard !== undefined && heard.epoch === at.epoch && heard.n >= at.n
}

/** Anybody may publish anything: what is not ours is as if it had not come, and the count tells whether it should have. */
function parseOrder(text: string): Pick<Told, 'mode' | 'tags'> | undefined {
  try {
    const [mode, tags] = JSON.parse(text) as [unknown, unknown]
    if ((mode !== 'purge' && mode !== 'expire') || !Array.isArray(tags)) return undefined
    return tags.every((tag) => typeof tag === 'string') ? { mode, tags } : undefined
  } catch {
    return undefined
  }
}

interface Told {
  readonly lane: Lane
  readonly at: LanePosition
  readonly mode: InvalidateMode
  readonly tags: readonly string[]
}

function parse(text: string, lanes: Lanes): Told | undefined {
  const match = /^(\d+) (\S+) (\d+) (.*)$/s.exec(text)
  const lane = match ? lanes.all[Number(match[1])] : undefined
  if (!match || !lane) return undefined
  const order = parseOrder(match[4]!)
  return order && { lane, at: { epoch: match[2]!, n: Number(match[3]) }, ...order }
}
