// Of the module, and not the global one, which fake timers take away.
import { setImmediate } from 'node:timers'

/**
 * Gathers what one turn of the event loop asks for, and sends it together at its end. A busy process then spends a
 * fraction of a command on each question; an idle one sends each at once.
 *
 * A batch that is full goes out before the turn ends. Redis then works on it while this process goes on with the turn:
 * one command with everything would have them wait for each other in turns.
 */
export class Batcher<T> {
  readonly #most: number
  readonly #send: (batch: readonly T[]) => void
  #batch: T[] = []
  #weight = 0
  #scheduled = false

  /** @param most - what a batch may weigh; a single item may weigh more */
  constructor(most: number, send: (batch: readonly T[]) => void) {
    this.#most = most
    this.#send = send
  }

  add(item: T, weight = 1): void {
    if (this.#weight + weight > this.#most) this.#flush()
    this.#batch.push(item)
    this.#weight += weight
    if (this.#weight >= this.#most) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#flush()
      })
    }
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#weight = 0
    this.#send(batch)
  }
}
