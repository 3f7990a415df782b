import type { AddressInfo } from 'node:net'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'

/**
 * Breaks a connection with a RST. One that is being ended is only closed: Node 20 then never closes the handle, and
 * the process turns in circles when it is to exit.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** A TCP proxy that makes a link as bad as a test wants it. */
export class TcpProxy {
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  readonly #to: number
  #port = 0
  /** How long everything from the server takes on its way. Milliseconds. */
  delayMs = 0
  /** After that many more bytes from the server, connections are reset. */
  resetAfterBytes = Number.POSITIVE_INFINITY
  /** How much gets through from the server. */
  bytesPerMs = Number.POSITIVE_INFINITY
  /** What the server sends over connections that listen to channels is lost, and nobody is told. */
  losesMessages = false

  constructor(toPort: number) {
    this.#to = toPort
  }

  /** Listens: again, after `refuse`, on the same port. */
  async start(): Promise<this> {
    this.#server = createServer((client) => this.#join(client))
    await new Promise<void>((resolve) => this.#server!.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  get port(): number {
    return this.#port
  }

  /** Resets every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) reset(socket)
  }

  /** Resets what there is, and has whoever comes refused. */
  refuse(): void {
    this.#server?.close()
    this.cut()
  }

  stop(): void {
    this.refuse()
  }

  #join(client: Socket): void {
    const server = dial(this.#to, '127.0.0.1')
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    let listens = false
    // Bytes of a connection never overtake one another, whatever becomes of the delay.
    const inFlight: (() => void)[] = []
    let lastDueMs = 0
    client.on('data', (data) => {
      listens ||= /\bsubscribe\b/i.test(data.toString('latin1'))
      server.write(data)
    })
    server.on('data', (data) => {
      if (this.losesMessages && listens) return
      if (data.length / this.bytesPerMs >= 1) {
        server.pause()
        setTimeout(() => server.resume(), data.length / this.bytesPerMs)
      }
      const send = (): void => {
        if (client.destroyed) return
        const left = this.resetAfterBytes
        this.resetAfterBytes -= data.length
        if (data.length <= left) {
          client.write(data)
          return
        }
        // What was sent so far must be on its way before the reset.
        client.write(data.subarray(0, Math.max(left, 0)), () => reset(client))
      }
      const now = performance.now()
      lastDueMs = Math.max(lastDueMs, now + this.delayMs)
      const underWay = inFlight.length > 0
      if (lastDueMs <= now && !underWay) return send()
      inFlight.push(send)
      setTimeout(() => inFlight.shift()?.(), lastDueMs - now).unref()
    })
  }
}
