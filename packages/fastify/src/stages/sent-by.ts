import { placeOf, type ReadObserver } from '@sluice/core'
import type { FastifyReply } from 'fastify'

/** Where sessions keep which one they are, and how their cookie is made. */
const ids: ReadonlySet<string> = new Set(['id', 'sessionId', 'encryptedSessionId', 'cookie'])

/**
 * `onSend` hooks of plugins that were registered before ours run before it: a session that saves itself asks which one it
 * is. Nobody who made the answer has asked, if that came after the answer was sent and does not stand in it.
 *
 * @returns the answer has come to our own hook
 */
export function watchSend(reply: FastifyReply, reads: ReadObserver): (payload: unknown) => void {
  let forget: ReturnType<ReadObserver['mark']> | undefined
  const { send } = reply
  Object.defineProperty(reply, 'send', {
    configurable: true,
    writable: true,
    value(this: FastifyReply, ...args: [payload?: unknown]) {
      forget = reads.mark()
      return send.apply(this, args)
    },
  })
  return (payload) => {
    const text = typeof payload === 'string' ? payload : payload instanceof Uint8Array ? payload.toString() : ''
    forget?.(({ term, value }) => {
      const { path } = placeOf(term)
      return path.length === 2 && path[0] === 'session' && ids.has(path[1]!) && !text.includes(String(value))
    })
    forget = undefined
  }
}
