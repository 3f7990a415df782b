import type { Exchange } from '@sluice/node'

/** An exchange that two may tell of the end: the connection, and whoever sees the body break off. */
export interface Followed extends Exchange {
  readonly closed: boolean
}

/** The same exchange, told only once how it ended. */
export function closedOnce(exchange: Exchange): Followed {
  let closed = false
  return {
    get closed() {
      return closed
    },
    control: exchange.control,
    onHead: (head) => exchange.onHead(head),
    ...(exchange.onBody && { onBody: (head, bytes) => exchange.onBody!(head, bytes) }),
    onError: (error) => exchange.onError?.(error),
    settled: () => exchange.settled?.(),
    onClose(outcome) {
      if (closed) return
      closed = true
      exchange.onClose(outcome)
    },
  }
}
