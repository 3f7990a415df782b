import type { Pipeline } from '../exchange.ts'
import type { RequestView } from '../request-view.ts'

/**
 * Whether Sluice itself is looking at a request just now. A limiter between a cache and the handler reads whom to charge,
 * and what it reads does not shape the answer that is stored (a refusal never is): the guard must not take it for a
 * read of the handler's.
 *
 * One for a whole instance will do: nothing else runs before `open` returns. What a key function reads later, behind an
 * `await`, is not known to be ours and counts as read.
 */
export class OwnReads {
  #depth = 0

  get now(): boolean {
    return this.#depth > 0
  }

  /** Runs what reads the request on our behalf. */
  during<T>(run: () => T): T {
    this.#depth++
    try {
      return run()
    } finally {
      this.#depth--
    }
  }

  /** The same pipeline, with its reads known as our own. Not for caches: what their key is made of shapes the answer. */
  quiet<P extends Pipeline>(pipeline: P): P {
    // As `during`, without the function it would take to call it.
    const open = (view: RequestView): ReturnType<Pipeline['open']> => {
      this.#depth++
      try {
        return pipeline.open(view)
      } finally {
        this.#depth--
      }
    }
    return Object.create(pipeline, { open: { value: open, enumerable: true } }) as P
  }
}
