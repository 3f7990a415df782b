import type { Cancel, Clock } from './clock.ts'

/** A deadline is made of pieces as long as this at most, and of as many as this at most. */
const pieceMs = 10
const mostPieces = 25

/**
 * Calls `fn` when somebody else has had `ms` milliseconds to answer, counting only time in which this process could have
 * read the answer.
 *
 * A process whose event loop was blocked knows nothing of how long the other side took: the answer may lie unread in its
 * socket, and timers run before sockets. So the time is taken in pieces, and sockets are read between two of them. A
 * block, however long, is over when one piece ends, and so counts as one of them. Measured so, a late event loop is
 * never taken for an outage.
 */
export function afterWaiting(clock: Clock, ms: number, fn: () => void): Cancel {
  const most = Math.max(pieceMs, Math.ceil(ms / mostPieces))
  let left = ms
  let cancelled = false
  let stop: Cancel = () => {}
  const piece = (): void => {
    const next = Math.min(most, left)
    left -= next
    // What has arrived while the last one ran out is read before this.
    if (next > 0) stop = clock.after(next, piece)
    else setImmediate(() => cancelled || fn())
  }
  piece()
  return () => {
    cancelled = true
    stop()
  }
}
