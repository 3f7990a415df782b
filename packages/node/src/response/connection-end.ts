import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Who waits for the end of a connection. One listener for all of them: as many requests as it likes may be on it. */
const waitingOn = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls back when the connection of a response is over. The response's own events are not enough: one that is queued behind
 * another of the same connection (pipelining), or that somebody has taken from its connection, has neither `finish` nor `close`
 * when that breaks.
 *
 * @returns stops waiting
 */
export function whenConnectionEnds(response: ServerResponse, ended: () => void): () => void {
  // The request is asked only where its answer is queued: it may be watched, and this would be a read of the client's address.
  const socket = response.socket ?? response.req?.socket
  // Of HTTP/2 each stream tells of its own end; and requests that tests inject have no connection.
  if (!socket || 'stream' in response || typeof socket.once !== 'function') return () => {}
  if (socket.destroyed) {
    ended()
    return () => {}
  }
  let waiting = waitingOn.get(socket)
  if (!waiting) {
    const all = new Set<() => void>()
    waiting = all
    waitingOn.set(socket, all)
    socket.once('close', () => {
      waitingOn.delete(socket)
      for (const one of all) one()
    })
  }
  const those = waiting
  those.add(ended)
  return () => void those.delete(ended)
}
