import { type BusFigures, type InvalidateMode, systemClock } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import { Listener } from '../../connection/listener.ts'
import type { LaneScripts } from '../store/lane-scripts.ts'
import type { Lane, LanePosition, Lanes } from '../store/lanes.ts'
import { MemoryLease } from './memory-lease.ts'

export interface BusOptions {
  readonly scripts: LaneScripts
  readonly lanes: Lanes
  /** What this process is called among those that answer from memory. */
  readonly member: string
  /** How long memory is believed without asking Redis. Milliseconds. */
  readonly leaseMs: number
  /** Over which the bus is tried out. */
  readonly client: ScriptClient
  readonly listener: ScriptClient
  readonly invalidated: (tags: readonly string[], mode: InvalidateMode) => void
  /** Something may have been missed: nothing held before this moment may be believed. */
  readonly missed: () => void
  /** Memory may not be believed any more, or may be again. */
  readonly changed: (live: boolean, cause: unknown) => void
  readonly beatMs?: number
  readonly deadlineMs?: number
}

/**
 * Hears of the invalidations of all processes, and keeps the right to answer from memory: a lease (Gray and Cheriton 1989)
 * that Redis knows of. Who invalidates waits until everybody who has one says that he has heard, or until it has run out.
 *
 * Each lane counts its invalidations, and the messages carry the count: one that is missing shows. Messages may also be
 * lost in silence; then Redis, which is asked when the lease is renewed, has counted further than was heard.
 */
export class Bus {
  readonly #options: BusOptions
  readonly #listener: Listener
  readonly #lease: MemoryLease
  #live = false

  constructor(options: BusOptions) {
    this.#options = options
    // Leases are of the time that passes for everybody, whatever clock records are measured by.
    const clock = systemClock()
    const { client, listener: connection, lanes, scripts, member, leaseMs, missed, beatMs, deadlineMs } = options
    this.#lease = new MemoryLease({
      clock,
      scripts,
      lanes,
      member,
      leaseMs,
      missed,
      held: () => this.#changed(true, undefined),
      lost: (cause) => this.#changed(false, cause),
    })
    this.#listener = new Listener({
      clock,
      client,
      connection,
      channel: () => lanes.channel,
      heard: (text) => this.#message(text),
      changed: (live, cause) => (live ? this.#lease.begin() : this.#lease.end(cause)),
      beatMs,
      deadlineMs,
    })
  }

  /** Whether memory may be believed at this moment. */
  get live(): boolean {
    return this.#lease.valid
  }

  figures(): BusFigures {
    return this.#listener.figures()
  }

  async close(): Promise<void> {
    this.#listener.close()
    await this.#lease.close()
  }

  #changed(live: boolean, cause: unknown): void {
    if (live === this.#live) return
    this.#live = live
    this.#options.changed(live, cause)
  }

  #message(text: string): void {
    const told = parse(text, this.#options.lanes)
    if (!told) return
    const { lane, at, by, tags, mode } = told
    this.#options.invalidated(tags, mode)
    lane.note(at, lane.seen)
    // Whoever orders something does not wait for himself.
    this.#lease.heard(lane, at, by !== this.#options.member)
  }
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
  /** Which process ordered it. */
  readonly by: string
  readonly mode: InvalidateMode
  readonly tags: readonly string[]
}

function parse(text: string, lanes: Lanes): Told | undefined {
  const match = /^(\d+) (\S+) (\d+) (\S+) (.*)$/s.exec(text)
  const lane = match ? lanes.all[Number(match[1])] : undefined
  if (!match || !lane) return undefined
  const order = parseOrder(match[5]!)
  return order && { lane, at: { epoch: match[2]!, n: Number(match[3]) }, by: match[4]!, ...order }
}
