import http from 'node:http'
import net from 'node:net'

/** Request fields; an array sends a field several times. */
export type RequestFields = Readonly<Record<string, string | readonly string[]>>

/** A whole answer, as it came over the wire. */
export class Answer {
  readonly status: number
  readonly body: Buffer
  readonly trailers: NodeJS.Dict<string>
  /** Names in lower case and values, in the order they came, repeated fields repeated. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** The 1xx answers before it. */
  readonly interim: readonly number[]
  /** And their fields. */
  readonly interimFields: readonly http.IncomingHttpHeaders[]

  constructor(message: http.IncomingMessage, body: Buffer, interim: readonly http.InformationEvent[]) {
    this.status = message.statusCode!
    this.body = body
    this.trailers = message.trailers
    this.interim = interim.map((info) => info.statusCode)
    this.interimFields = interim.map((info) => info.headers)
    this.fields = pairs(message.rawHeaders)
  }

  get text(): string {
    return this.body.toString()
  }
  // biome-ignore lint/suspicious/noExplicitAny: whatever the test's handler sent
  json(): any {
    return JSON.parse(this.text)
  }
  /** All lines of a field, joined; `undefined` where there is none. */
  header(name: string): string | undefined {
    const lines = this.lines(name)
    return lines.length ? lines.join(', ') : undefined
  }
  lines(name: string): string[] {
    return this.fields.filter(([n]) => n === name.toLowerCase()).map(([, value]) => value)
  }
  /** `hit`, or what went forward: `uri-miss`, `stale`, `bypass`, …; `''` without Cache-Status. */
  get cache(): string {
    const line = this.header('cache-status') ?? ''
    return /; (hit)\b/.exec(line)?.[1] ?? /; fwd=([\w-]+)/.exec(line)?.[1] ?? ''
  }
  get stored(): boolean {
    return /; stored\b/.test(this.header('cache-status') ?? '')
  }
  /** What Cache-Status says for people. */
  get detail(): string | undefined {
    return /; detail="?([^;"]+)/.exec(this.header('cache-status') ?? '')?.[1]
  }
}

/** An answer that is still coming. */
export interface Opened {
  readonly status: number
  header(name: string): string | undefined
  /** The next piece as it arrives; `undefined` at the end. */
  piece(): Promise<string | undefined>
  /** Goes away. */
  abort(): void
}

export interface RequestOptions {
  readonly method?: string
  readonly headers?: RequestFields | undefined
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** A small client that hides nothing: no redirects, no decoding, no cache. */
export class Client {
  readonly #port: number
  readonly #agent = new http.Agent({ keepAlive: true })

  constructor(port: number) {
    this.#port = port
  }

  #start(path: string, options: RequestOptions): http.ClientRequest {
    const { method = 'GET', headers = {}, body, signal } = options
    const fields: Record<string, string | string[]> = {}
    for (const [name, value] of Object.entries(headers)) fields[name] = typeof value === 'string' ? value : [...value]
    if (body !== undefined) fields['content-length'] = String(Buffer.byteLength(body))
    const request = http.request({
      port: this.#port,
      host: '127.0.0.1',
      method,
      path,
      headers: fields,
      agent: this.#agent,
      ...(signal ? { signal } : {}),
    })
    request.end(body)
    return request
  }

  request(path: string, options: RequestOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const interim: http.InformationEvent[] = []
      const request = this.#start(path, options)
      request.on('information', (info) => interim.push(info))
      request.on('error', reject)
      request.on('response', (message) => {
        const chunks: Buffer[] = []
        message.on('data', (chunk: Buffer) => chunks.push(chunk))
        message.on('error', reject)
        message.on('end', () => resolve(new Answer(message, Buffer.concat(chunks), interim)))
      })
    })
  }

  /** Resolves when the head is there. */
  open(path: string, options: RequestOptions = {}): Promise<Opened> {
    return new Promise((resolve, reject) => {
      const request = this.#start(path, options)
      request.on('error', reject)
      request.on('response', (message) => {
        message.on('error', () => {})
        const pieces = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>
        resolve({
          status: message.statusCode!,
          header: (name) => message.headers[name.toLowerCase()] as string | undefined,
          piece: async () => {
            const next = await pieces.next()
            return next.done ? undefined : next.value.toString()
          },
          abort: () => request.destroy(),
        })
      })
    })
  }

  /** Sends bytes as they are and gives what came back, once the server has closed the connection. */
  raw(bytes: string | Uint8Array): Promise<string> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      const socket = net.connect(this.#port, '127.0.0.1', () => socket.write(bytes))
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('error', (error) => (chunks.length ? resolve(Buffer.concat(chunks).toString('latin1')) : reject(error)))
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const list: (readonly [string, string])[] = []
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i]!.toLowerCase(), raw[i + 1]!])
  return list
}
