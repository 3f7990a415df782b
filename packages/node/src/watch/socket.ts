import type { Socket } from 'node:net'
import type { RequestWatch } from './request-watch.ts'

/** What a connection says of who is at its other end, and what it is called. */
const told: Readonly<Record<string, '@ip' | '@certificate'>> = Object.freeze({
  remoteAddress: '@ip',
  remotePort: '@ip',
  remoteFamily: '@ip',
  authorized: '@certificate',
  getPeerCertificate: '@certificate',
  getPeerX509Certificate: '@certificate',
})

const watches = new WeakMap<object, Set<RequestWatch>>()

/**
 * Notices reads of the client's address and certificate on the connection itself, until the answer is made. Requests of
 * one connection share it, so each of those that run at the moment has read it.
 *
 * @returns lets go
 */
export function watchSocket(socket: Socket | undefined, watch: RequestWatch): () => void {
  if (!socket) return () => {}
  let listening = watches.get(socket)
  if (!listening) {
    listening = new Set()
    watches.set(socket, listening)
    for (const [name, as] of Object.entries(told)) {
      if (name in socket) defineTelling(socket, name, { as, listening })
    }
  }
  listening.add(watch)
  return () => void listening.delete(watch)
}

function defineTelling(
  socket: Socket,
  name: string,
  { as, listening }: { as: string; listening: ReadonlySet<RequestWatch> },
): void {
  const prototype: object = Object.getPrototypeOf(socket) as object
  try {
    let own = Object.getOwnPropertyDescriptor(socket, name)
    Object.defineProperty(socket, name, {
      configurable: true,
      enumerable: own?.enumerable ?? false,
      get() {
        for (const watch of listening) watch.field(as)
        if (own) return 'value' in own ? (own.value as unknown) : own.get?.call(socket)
        return Reflect.get(prototype, name, socket) as unknown
      },
      set(value: unknown) {
        own = { value }
      },
    })
  } catch {
    // A stand-in of node's: what it is asked there is not seen.
  }
}
