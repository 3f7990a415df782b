import { type Cancel, type Clock, everythingTag, type InvalidateMode } from '@sluice/core'
import type { Lane } from '../store/lanes.ts'

/** What is to be invalidated. */
export interface Order {
  readonly tags: readonly string[]
  readonly mode: InvalidateMode
}

/** How long until a lane that did not answer is asked again. */
const againMs = 200

/** Of more tags than these a lane is purged as a whole. */
const mostTags = 10_000

/**
 * Invalidations that Redis has not confirmed. Whoever ordered one was told that it failed, but the handler's answer may
 * have gone out all the same; so it is tried until it succeeds, and until then the lane counts as unknown here.
 */
export class Debts {
  readonly #clock: Clock
  readonly #send: (lane: Lane, order: Order, patient: boolean) => Promise<void>
  readonly #owed = new Map<Lane, Map<InvalidateMode, Set<string>>>()
  #timer: Cancel | undefined
  #closed = false

  /** @param send - `patient`: nobody waits for it, so it may take as long as leases do */
  constructor(clock: Clock, send: (lane: Lane, order: Order, patient: boolean) => Promise<void>) {
    this.#clock = clock
    this.#send = send
  }

  /** Whether something is owed to this lane. */
  of(lane: Lane): boolean {
    return this.#owed.size > 0 && this.#owed.has(lane)
  }

  async pay(lane: Lane, order: Order): Promise<void> {
    try {
      await this.#send(lane, order, false)
    } catch (error) {
      this.#owe(lane, order)
      throw error
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.()
  }

  #owe(lane: Lane, { tags, mode }: Order): void {
    const orders = this.#owed.get(lane) ?? new Map<InvalidateMode, Set<string>>()
    const owed = new Set([...(orders.get(mode) ?? []), ...tags])
    this.#owed.set(lane, orders.set(mode, owed.size > mostTags ? new Set([everythingTag]) : owed))
    this.#later()
  }

  #later(): void {
    if (this.#closed) return
    this.#timer ??= this.#clock.after(againMs, () => {
      this.#timer = undefined
      const lanes = [...this.#owed]
      void Promise.all(lanes.map(([lane, orders]) => this.#repay(lane, orders))).then(() => {
        if (this.#owed.size > 0) this.#later()
      })
    })
  }

  async #repay(lane: Lane, orders: Map<InvalidateMode, Set<string>>): Promise<void> {
    for (const [mode, tags] of [...orders]) {
      try {
        await this.#send(lane, { mode, tags: [...tags] }, true)
      } catch {
        return
      }
      // What came to be owed meanwhile stands in a set of its own.
      if (orders.get(mode) === tags) orders.delete(mode)
    }
    if (orders.size === 0) this.#owed.delete(lane)
  }
}
