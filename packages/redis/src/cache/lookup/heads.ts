import { type FrameHead, readHead } from '@sluice/core'
import { stampBytes } from '../store/scripts.ts'

/** How many heads are remembered, and up to which size: a few megabytes. */
const rememberedHeads = 2_000
const largestBytes = 4_096

interface Known {
  readonly stamp: Buffer
  readonly head: FrameHead
}

/**
 * The heads of the frames read last. A stamp is written once, so a frame that comes with the same one again is the same
 * bytes: they need not be checked and parsed anew, which is a quarter of what a hit costs this process. What becomes of
 * them in Redis after that is noticed only where their number changes. No body is kept.
 */
export class Heads {
  readonly #known = new Map<string, Known>()

  /** @param frame - with its stamp in front */
  of(key: string, frame: Buffer): FrameHead | undefined {
    const known = this.#known.get(key)
    if (known && frame.length === stampBytes + known.head.frameBytes) {
      if (known.stamp.compare(frame, 0, stampBytes) === 0) return known.head
    }
    const head = readHead(frame, stampBytes)
    if (head && head.headBytes <= largestBytes) {
      if (this.#known.size >= rememberedHeads) this.#known.clear()
      // A copy: the frame is a view of what else came over the connection.
      this.#known.set(key, { stamp: Buffer.from(frame.subarray(0, stampBytes)), head })
    }
    return head
  }
}
