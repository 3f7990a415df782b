import type { Cancel, Clock } from '../../base/clock.ts'
import { isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { Charger } from '../charge/charger.ts'
import { type Charges, type Charging, madeOf, type PolicyCharge } from '../charge/charges.ts'
import type { SlowDown } from '../policy/slow-down.ts'
import type { Verdict } from '../store/store.ts'
import type { InLine, Lines } from './lines.ts'

/** A request that may be made to wait. */
export interface Delayed extends Charging {
  charges: readonly PolicyCharge[]
  readonly view: RequestView
}

/** How it ended: as the verdicts say, or nobody waits for the answer any more. */
export type Stay = 'decided' | 'left'

/** A wait so far. `again`: it has been asked since it began. */
export interface Wait {
  readonly elapsedMs: number
  readonly again: boolean
}

/** What waiting needs of the limiter. */
export interface WaitingParts {
  readonly clock: Clock
  readonly charger: Charger
  readonly charges: Charges
  readonly lines: Lines
  /** The charges to wait for, after a refusal; `undefined` where it would be in vain or take too long. */
  readonly waitedFor: (request: Delayed, arrival: number, wait: Wait) => readonly PolicyCharge[] | undefined
  /** How long the wait is, with those in front. */
  readonly look: (request: Delayed, arrival: number) => MaybePromise<readonly (Verdict | undefined)[]>
  readonly ended: (waiter: Waiter, stay: Stay, waitedMs: number) => void
}

/** A shared store is not asked more often than that for one request, whatever wait it names. */
const leastRemoteMs = 10

/**
 * A request that waits until it is admitted, refused after all, or given up by its client. Nothing is charged while it waits:
 * it asks when it is the first in line, at the time the last refusal named, or as soon as something is given back.
 */
export class Waiter implements InLine {
  readonly request: Delayed
  readonly arrival: number
  keys: readonly string[] = []
  readonly ended: Promise<Stay>
  readonly #parts: WaitingParts
  readonly #places = new Set<SlowDown>()
  readonly #sinceMs: number
  readonly #expiries: Cancel[] = []
  #resolve!: (stay: Stay) => void
  #reject!: (error: unknown) => void
  #stopListening: (() => void) | undefined
  #cancelAsk: Cancel | undefined
  #asking = false
  /** Something was given back while it asked. */
  #askAgain = false
  /** It may not wait any longer: the next refusal is the last. */
  #expired = false
  #over = false

  constructor(request: Delayed, arrival: number, parts: WaitingParts) {
    this.request = request
    this.arrival = arrival
    this.#parts = parts
    this.#sinceMs = parts.clock.now()
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  unitsOf(key: string): number {
    return this.request.charges.find((charge) => charge.key === key)?.cost ?? 0
  }

  /** It takes its place. `verdicts`: the refusal it waits after; a promise where it is not known yet how long that will be. */
  wait(charges: readonly PolicyCharge[], verdicts?: PromiseLike<readonly (Verdict | undefined)[]>): Promise<Stay> {
    this.#stand(charges)
    this.#stopListening = this.request.view.onGone?.(() => this.#left())
    // It may have gone before.
    if (this.#over) this.#stopListening?.()
    else if (verdicts) {
      verdicts.then(
        (found) => this.#looked(found),
        (error) => this.#failed(error),
      )
    } else if (this.#parts.lines.isFirst(this)) this.#askLater()
    return this.ended
  }

  /** How long it will be, with those in front. By then it may have asked for itself. */
  #looked(verdicts: readonly (Verdict | undefined)[]): void {
    if (this.#over || this.#asking || this.#cancelAsk) return
    this.request.verdicts = verdicts
    const charges = this.#waitedFor(false)
    if (!charges) this.#end('decided')
    else this.#stand(charges)
  }

  ask(): void {
    if (this.#over) return
    if (this.#asking) {
      this.#askAgain = true
      return
    }
    const { charger, charges, lines } = this.#parts
    if (!lines.isFirst(this)) return
    this.#cancelAsk?.()
    this.#cancelAsk = undefined
    this.#asking = true
    this.#askAgain = false
    // New ones: what was given back of the former is known by them, and a late answer must not be taken for this one's.
    this.request.charges = charges.again(this.request.charges)
    const charged = charger.charge(this.request)
    if (isPromise(charged))
      charged.then(
        () => this.#answered(),
        (error) => this.#failed(error),
      )
    else this.#answered()
  }

  #answered(): void {
    const { request } = this
    const { charger } = this.#parts
    this.#asking = false
    if (this.#over) {
      if (request.allowed) charger.giveBack(madeOf(request, () => true))
      return
    }
    if (request.allowed) {
      this.#end('decided')
      return
    }
    const charges = this.#waitedFor(true)
    if (!charges || !this.#stand(charges)) this.#end('decided')
    else if (!this.#parts.lines.isFirst(this)) return
    else if (this.#askAgain) this.ask()
    else this.#askLater()
  }

  #waitedFor(again: boolean): readonly PolicyCharge[] | undefined {
    if (this.#expired) return undefined
    return this.#parts.waitedFor(this.request, this.arrival, { elapsedMs: this.#elapsedMs, again })
  }

  #failed(error: unknown): void {
    this.#asking = false
    if (this.#over) return
    this.#reject(error)
    this.#end('decided')
  }

  #askLater(): void {
    const { request } = this
    let waitMs = 0
    let leastMs = 1
    request.charges.forEach(({ policy, key }, i) => {
      const verdict = request.verdicts[i]
      if (!verdict || verdict.allowed || !this.keys.includes(key)) return
      waitMs = Math.max(waitMs, verdict.retryAfterMs)
      if (this.#parts.charger.isRemote(policy)) leastMs = leastRemoteMs
    })
    this.#cancelAsk = this.#parts.clock.after(Math.max(waitMs, leastMs), () => {
      this.#cancelAsk = undefined
      this.ask()
    })
  }

  /** Stands in the lines of these, and in no others; whether there was room. Each policy's `max` counts from when it begins. */
  #stand(charges: readonly PolicyCharge[]): boolean {
    const { clock, lines } = this.#parts
    for (const { policy, key } of charges) {
      const slowDown = policy.slowDown!
      if (!this.keys.includes(key) && lines.length(key) >= slowDown.perKey) return false
      if (this.#places.has(slowDown)) continue
      if (slowDown.taken.waiting >= slowDown.queue) return false
      this.#places.add(slowDown)
      slowDown.taken.waiting++
      // A length of time, and no hour: a clock that is set back does not prolong it.
      this.#expiries.push(clock.after(slowDown.maxMs, () => this.#expire()))
    }
    lines.stand(
      this,
      charges.map(({ key }) => key),
    )
    return true
  }

  #expire(): void {
    if (this.#over || this.#expired) return
    this.#expired = true
    if (this.#asking) return
    this.#cancelAsk?.()
    this.#cancelAsk = undefined
    // It may be admitted at the last moment; and if not, it is told how long it would have been.
    if (this.#parts.lines.isFirst(this)) {
      this.ask()
      return
    }
    const found = this.#parts.look(this.request, this.arrival)
    if (isPromise(found)) {
      found.then(
        (verdicts) => this.#looked(verdicts),
        (error) => this.#failed(error),
      )
    } else this.#looked(found)
  }

  /** The instance closes: nobody waits any longer. */
  close(): void {
    this.#expired = true
    if (!this.#asking) this.#end('decided')
  }

  #left(): void {
    if (!this.#over) this.#end('left')
  }

  get #elapsedMs(): number {
    return Math.max(0, this.#parts.clock.now() - this.#sinceMs)
  }

  #end(stay: Stay): void {
    if (this.#over) return
    this.#over = true
    this.#cancelAsk?.()
    for (const cancel of this.#expiries) cancel()
    this.#stopListening?.()
    for (const { taken } of this.#places) taken.waiting--
    this.#parts.ended(this, stay, this.#elapsedMs)
    this.#resolve(stay)
    // Last: whose turn it is now goes on behind this one.
    this.#parts.lines.leave(this)
  }
}
