import { type AddressInfo, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What a socket says of TLS, with what one says that has none (or whose client is gone). */
const ofTls = ['authorized', 'authorizationError', 'alpnProtocol', 'servername'] as const
/**
 * Where a response goes that nobody waits for: it says whose address and whose certificate it had, and lets everything
 * written go. A socket of node's own and not just a stream, so that whatever an application asks of one is there.
 */
export class NoConnection extends Socket {
  constructor(like: Partial<Socket> | undefined) {
    super()
    // Who is told to destroy a response, and why, has nobody to tell it to.
    this.on('error', () => {})
    const own: Record<string, unknown> = { pending: false, bufferSize: 0, server: ask(like, 'server') }
    for (const name of addresses) own[name] = ask(like, name)
    if (ask(like, 'encrypted') === true) {
      own.encrypted = true
      for (const name of ofTls) own[name] = ask(like, name)
      for (const name of Object.getOwnPropertyNames(TLSSocket.prototype)) {
        if (name.startsWith('_') || name in Socket.prototype) continue
        // Asked of the connection, which may be gone by then, when they are needed: these are dear. What would change it
        // does nothing.
        own[name] = /^(?:get|is|export)/.test(name) ? (...args: unknown[]) => call(like, name, args) : no
      }
    }
    for (const [name, value] of Object.entries(own)) {
      Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value })
    }
  }

  override address(): AddressInfo | Record<string, never> {
    const { localAddress, localPort, localFamily } = this
    if (localAddress === undefined) return {}
    return { address: localAddress, port: localPort ?? 0, family: localFamily ?? '' }
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }

  override _writev(_chunks: unknown, done: () => void): void {
    done()
  }
}

const addresses = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily'] as const

const no = (): boolean => false

/** The socket of an HTTP/2 session that is over throws at whoever asks it something. */
function ask(like: object | undefined, name: string): unknown {
  try {
    return (like as Record<string, unknown> | undefined)?.[name]
  } catch {
    return undefined
  }
}

function call(like: object | undefined, name: string, args: readonly unknown[]): unknown {
  const method = ask(like, name)
  try {
    return typeof method === 'function' ? method.apply(like, args) : undefined
  } catch {
    return undefined
  }
}

/** What a request and a response have beside the rest where they came by HTTP/2 (node's compatibility API). */
export function asHttp2(again: object, response: object, like: object, socket: Socket): void {
  const { stream, scheme, authority } = like as {
    stream?: { id?: number; session?: object }
    scheme?: string
    authority?: string
  }
  const pushDisabled = (...args: readonly unknown[]): void => {
    const error = Object.assign(new Error('HTTP/2 client has disabled push streams'), {
      code: 'ERR_HTTP2_PUSH_DISABLED',
    })
    const told = args.find((arg) => typeof arg === 'function') as ((error: Error) => void) | undefined
    if (!told) throw error
    process.nextTick(told, error)
  }
  Object.assign(socket, {
    id: stream?.id,
    session: stream?.session,
    pushAllowed: false,
    pushStream: pushDisabled,
    aborted: false,
  })
  Object.assign(again, { stream: socket, scheme, authority })
  Object.assign(response, { stream: socket, createPushResponse: pushDisabled })
}
