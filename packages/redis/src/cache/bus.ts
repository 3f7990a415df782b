import { randomBytes } from 'node:crypto'
import type { Cancel, Clock, InvalidateMode } from '@sluice/core'
import type { ScriptClient } from '../client.ts'
import { withDeadline } from '../deadline.ts'
import type { Lane, LanePosition, Lanes } from './lanes.ts'

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

/** How long after it went down until it is tried again. */
const againMs = 200

/**
 * Hears of the invalidations of all processes. Each lane counts its own, and the messages carry the count: one that is
 * missing shows. Messages may also be lost in silence (a connection that is only half there), so at every beat the bus is
 * sent a message of its own and the counts are compared with those in Redis.
 *
 * While it is not live, nobody can rely on having heard everything.
 */
export class Bus {
  readonly #options: BusOptions
  readonly #beatMs: number
  readonly #deadlineMs: number
  readonly #echoChannel: string
  /** Up to where each lane was heard; absent where that is unknown. */
  readonly #heard = new Map<Lane, LanePosition>()
  #live = false
  #closed = false
  #subscribed = false
  #running = false
  #timer: Cancel | undefined
  #echo: { readonly text: string; readonly came: () => void } | undefined
  /** Of a Cluster, whose nodes pass messages on to each other: what they had counted one beat ago. */
  #before = new Map<Lane, LanePosition>()

  constructor(options: BusOptions) {
    this.#options = options
    this.#beatMs = options.beatMs ?? 1_000
    this.#deadlineMs = options.deadlineMs ?? 500
    this.#echoChannel = `${options.lanes.channel}:${randomBytes(9).toString('base64url')}`
    const { listener } = options
    listener.on('message', (channel: string, text: string) => this.#message(channel, text))
    for (const event of ['close', 'end']) listener.on(event, () => this.#lost(new Error('the connection was closed')))
    listener.on('ready', () => void this.#turn())
    void this.#turn()
  }

  get live(): boolean {
    return this.#live
  }

  close(): void {
    this.#closed = true
    this.#live = false
    this.#timer?.()
  }

  #message(channel: string, text: string): void {
    if (channel === this.#echoChannel) {
      if (this.#echo?.text === text) this.#echo.came()
      return
    }
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
    if (this.#live) {
      this.#down(new Error('a message was lost'))
      void this.#turn()
    }
  }

  #lost(cause: unknown): void {
    this.#subscribed = false
    this.#down(cause)
  }

  #down(cause: unknown): void {
    if (!this.#live) return
    this.#live = false
    this.#options.changed(false, cause)
  }

  /** Catches up or makes sure that nothing was missed, and sees to the next time. */
  async #turn(): Promise<void> {
    if (this.#running || this.#closed) return
    this.#running = true
    this.#timer?.()
    try {
      if (this.#live) await this.#beat()
      else await this.#catchUp()
    } catch (error) {
      // Subscribing twice does no harm; not being subscribed would.
      this.#lost(error)
    }
    this.#running = false
    if (this.#closed) return
    this.#timer = this.#options.clock.after(this.#live ? this.#beatMs : againMs, () => void this.#turn())
  }

  async #catchUp(): Promise<void> {
    const { listener, lanes, missed, changed } = this.#options
    if (!this.#subscribed) {
      if (listener.status !== 'ready') return
      await this.#within('subscribe', listener.subscribe(lanes.channel, this.#echoChannel))
      this.#subscribed = true
    }
    // From here on every message comes. What was invalidated before shows in the counts.
    const counted = await this.#counts()
    if (!this.#subscribed) return
    const complete = lanes.all.every((lane) => reached(this.#heard.get(lane), counted.get(lane)!))
    if (!complete) {
      missed()
      for (const [lane, at] of counted) {
        if (!reached(this.#heard.get(lane), at)) this.#heard.set(lane, at)
      }
    }
    this.#before = counted
    await this.#hear()
    if (!this.#subscribed) return
    this.#live = true
    changed(true, undefined)
  }

  async #beat(): Promise<void> {
    const counted = await this.#counts()
    await this.#hear()
    if (!this.#live) return
    const due = this.#options.client.isCluster ? this.#before : counted
    this.#before = counted
    if (this.#options.lanes.all.every((lane) => reached(this.#heard.get(lane), due.get(lane)!))) return
    this.#down(new Error('a message was lost'))
    await this.#catchUp()
  }

  async #counts(): Promise<Map<Lane, LanePosition>> {
    const { lanes, clockOf } = this.#options
    const counted = lanes.all.map(async (lane) => [lane, await clockOf(lane)] as const)
    return new Map(await this.#within('tell its positions', Promise.all(counted)))
  }

  /** Sends a message over the bus to this process itself, and waits for it. */
  async #hear(): Promise<void> {
    const text = randomBytes(6).toString('base64url')
    const came = new Promise<void>((resolve) => {
      this.#echo = { text, came: resolve }
    })
    const sent = this.#options.client.publish(this.#echoChannel, text)
    await this.#within('pass a message on', Promise.all([sent, came]))
  }

  #within<T>(what: string, answer: Promise<T>): Promise<T> {
    return withDeadline(this.#options.clock, this.#deadlineMs, what, answer)
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
