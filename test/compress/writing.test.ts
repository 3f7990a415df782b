import http, { type ServerResponse } from 'node:http'
import net from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as later } from 'node:timers/promises'
import * as zlib from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { until } from '../hosts/harness/host.ts'
import { decoded, json, onHosts, type Spec, text } from './hosts.ts'

type Res = ServerResponse & { flush(): void }
const gzip = { 'accept-encoding': 'gzip' }

onHosts(
  'what a handler does to its response',
  (boot) => {
    const writing = (raw: (res: Res) => unknown, spec: Partial<Spec> = {}) =>
      boot({
        raw: (_, res) => {
          for (const [name, value] of Object.entries(json)) res.setHeader(name, value)
          return raw(res)
        },
        ...spec,
      })

    test.each([
      ['end(bytes)', (res: Res, bytes: Buffer) => res.end(bytes)],
      ['end(bytes) of megabytes', (res: Res, bytes: Buffer) => res.end(bytes)],
      [
        'write(bytes), end()',
        (res: Res, bytes: Buffer) => {
          res.write(bytes)
          res.end()
        },
      ],
    ] as const)('%s, of a buffer that is used again at once', async (name, write) => {
      const said = name === 'end(bytes) of megabytes' ? text.repeat(200) : text
      const app = await writing((res) => {
        const bytes = Buffer.from(said)
        write(res, bytes)
        bytes.fill('x')
      })
      expect(decoded(await app.get(gzip))).toBe(said)
    })

    const hex = Buffer.from(text).toString('hex')
    const ways: readonly (readonly [string, (res: Res, done: () => void) => void, told: boolean])[] = [
      ['end(text)', (res) => res.end(text), false],
      ['end(bytes)', (res) => res.end(Buffer.from(text)), false],
      ['end(text, callback)', (res, done) => res.end(text, done), true],
      ['end(text, encoding)', (res) => res.end(hex, 'hex'), false],
      ['end(text, encoding, callback)', (res, done) => res.end(hex, 'hex', done), true],
      [
        'write(text), end()',
        (res) => {
          res.write(text)
          res.end()
        },
        false,
      ],
      [
        'write(text, encoding), end(null)',
        (res) => {
          res.write(hex, 'hex')
          res.end(null)
        },
        false,
      ],
      [
        'write(text, callback), end()',
        (res, done) => {
          res.write(text, done)
          res.end()
        },
        true,
      ],
      [
        'write(text, encoding, callback), end()',
        (res, done) => {
          res.write(hex, 'hex', done)
          res.end()
        },
        true,
      ],
      [
        'write(half), end(half, encoding, callback)',
        (res, done) => {
          res.write(text.slice(0, 9))
          res.end(text.slice(9), 'utf8', done)
        },
        true,
      ],
      [
        'write(text), end(callback)',
        (res, done) => {
          res.write(text)
          res.end(done)
        },
        true,
      ],
      [
        'writeHead, write, end',
        (res) => {
          res.writeHead(200, { 'Content-Length': text.length })
          res.write(text)
          res.end()
        },
        false,
      ],
      [
        'writeHead(status, reason, list), end',
        (res) => {
          res.writeHead(200, 'Fine', ['Content-Length', String(text.length)] as never)
          res.end(text)
        },
        false,
      ],
      [
        'flushHeaders, end(text)',
        (res) => {
          res.flushHeaders()
          res.end(text)
        },
        false,
      ],
      ['a pipe', (res) => void Readable.from([text.slice(0, 100), text.slice(100)]).pipe(res), false],
    ]
    test.each(ways)('%s', async (_, way, told) => {
      let called = 0
      const { get } = await writing((res) => way(res, () => called++))
      const answer = await get(gzip)
      expect(answer.header('content-encoding')).toBe('gzip')
      expect(decoded(answer)).toBe(text)
      if (told) await until(() => called === 1)
      const plain = await get({})
      expect(plain.text).toBe(text)
    })

    test.each([
      ['end()', (res: Res) => res.end()],
      ['end(null)', (res: Res) => res.end(null)],
      ["end('')", (res: Res) => res.end('')],
    ])('%s sends nothing', async (_, way) => {
      const { get } = await writing((res) => void way(res), { compress: { threshold: 0 } })
      const answer = await get(gzip)
      expect(answer.body).toHaveLength(0)
      expect(answer.header('content-encoding')).toBeUndefined()
    })

    test('write after end adds nothing and tells who asks', async () => {
      const seen: unknown[] = []
      const { get } = await writing((res) => {
        res.write(text)
        res.end()
        res.on('error', () => {})
        seen.push(res.write('more', (error) => seen.push((error as { code?: string })?.code)))
        res.end()
      })
      expect(decoded(await get(gzip))).toBe(text)
      expect(seen).toEqual([false, 'ERR_STREAM_WRITE_AFTER_END'])
    })

    test('a field set after the first piece is an error, as it is without compression', async () => {
      let code: unknown
      const { get } = await writing((res) => {
        res.write(text)
        expect(res.headersSent).toBe(true)
        try {
          res.setHeader('X-Late', '1')
        } catch (error) {
          code = (error as { code?: string }).code
        }
        res.end()
      })
      await get(gzip)
      expect(code).toBe('ERR_HTTP_HEADERS_SENT')
    })

    test('res.flush() sends on what was written', async () => {
      const { port } = await writing((res) => {
        res.write('first\n')
        res.flush()
      })
      expect(await firstPiece(port)).toBe('first\n')
    })

    test('res.flush() is there and does nothing where nothing is compressed, before and after the head', async () => {
      const { get } = await writing((res) => {
        res.setHeader('Content-Type', 'image/png')
        res.flush()
        res.write(text)
        res.flush()
        res.end()
      })
      expect((await get(gzip)).text).toBe(text)
    })

    test('event streams arrive event by event without flush', async () => {
      const { port } = await writing((res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.write('data: 1\n\n')
      })
      expect(await firstPiece(port)).toBe('data: 1\n\n')
    })

    describe('back-pressure', () => {
      /** A handler that writes as fast as it is let, to a client that does not read. */
      const slow = async (early: boolean) => {
        let written = 0
        let stopped = false
        let drains = 0
        const noise = Buffer.alloc(16_384, 'x')
        const { port } = await writing(
          (res) => {
            const pump = (): void => {
              while (!stopped && written < 400_000_000) {
                noise.writeUInt32BE(written)
                written += noise.length
                if (!res.write(Buffer.from(noise))) return
              }
              if (!res.writableEnded) res.end()
            }
            const onDrain = (): void => {
              drains++
              pump()
            }
            if (early) res.on('drain', onDrain)
            pump()
            if (!early) res.on('drain', onDrain)
          },
          { compress: { zlib: { gzip: { chunkSize: 1024 } }, level: { gzip: 0 } } },
        )
        const socket = net.connect(port, '127.0.0.1')
        socket.pause()
        socket.write('GET /x HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n')
        return { socket, written: () => written, drains: () => drains, stop: () => (stopped = true) }
      }

      test.each([true, false])(
        'a handler waits for a client that does not read, and goes on (early listener: %p)',
        async (early) => {
          const run = await slow(early)
          await until(() => run.written() > 0)
          let last = -1
          while (last !== run.written()) {
            last = run.written()
            await later(100)
          }
          expect(last).toBeLessThan(50_000_000)
          run.socket.resume()
          await until(() => run.written() > last)
          expect(run.drains()).toBeGreaterThan(0)
          run.stop()
          run.socket.destroy()
        },
      )
    })

    describe('a client that goes away', () => {
      test.each(['gzip', 'br'])('leaves no %s handle behind', async (coding) => {
        const seen = watchZlib()
        try {
          const { port } = await writing((res) => {
            res.write(text)
            res.flush()
            const timer = setInterval(() => res.write(text), 1)
            res.on('close', () => clearInterval(timer))
          })
          for (let i = 0; i < 5; i++) {
            const request = http.get({
              port,
              host: '127.0.0.1',
              path: '/x',
              headers: { 'accept-encoding': coding },
              agent: false,
            })
            request.on('error', () => {})
            await new Promise<void>((resolve) =>
              request.on('response', (message) => message.once('data', () => resolve())),
            )
            request.destroy()
          }
          await until(() => seen.streams.size === 5 && [...seen.streams].every((stream) => stream.destroyed))
          for (const stream of seen.streams) expect((stream as { _handle?: unknown })._handle).toBeNull()
        } finally {
          seen.stop()
        }
      })

      test('before the head is there harms nobody', async () => {
        let gone = false
        const { port, get } = await writing((res) => {
          if (gone) return res.end(text)
          res.on('close', () => {
            gone = true
            res.write(text)
            res.end()
          })
          return undefined
        })
        const request = http.get({ port, host: '127.0.0.1', path: '/x', headers: gzip, agent: false })
        request.on('error', () => {})
        await later(20)
        request.destroy()
        await until(() => gone)
        expect(decoded(await get(gzip))).toBe(text)
      })
    })

    test('other middleware around it sees the encoded bytes once', async () => {
      const seen: number[] = []
      const { get } = await writing((res) => res.end(text), {
        before: (_, res) => {
          const end = res.end
          res.end = function (this: ServerResponse, ...args: unknown[]) {
            seen.push((args[0] as Buffer).length)
            return (end as (...all: unknown[]) => ServerResponse).apply(this, args)
          } as never
        },
      })
      const answer = await get(gzip)
      expect(seen).toEqual([answer.body.length])
    })
  },
  (kind) => kind.raw,
)

/** What arrives first, decoded, while the response is still open. */
function firstPiece(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', path: '/x', headers: gzip, agent: false }, (message) => {
      const gunzip = zlib.createGunzip()
      gunzip.once('data', (piece: Buffer) => {
        resolve(piece.toString())
        request.destroy()
      })
      gunzip.on('error', () => {})
      message.on('error', () => {})
      message.pipe(gunzip)
    })
    request.on('error', reject)
  })
}

/** The zlib streams that are given something from now on. */
function watchZlib(): { streams: Set<Readable>; stop(): void } {
  const streams = new Set<Readable>()
  let base = Object.getPrototypeOf(zlib.Gzip.prototype)
  while (!Object.hasOwn(base, '_transform')) base = Object.getPrototypeOf(base)
  const transform = base._transform
  base._transform = function (this: Readable, ...args: unknown[]) {
    if (this instanceof (zlib.Gzip as never) || this instanceof (zlib.BrotliCompress as never)) streams.add(this)
    return transform.apply(this, args)
  }
  return {
    streams,
    stop: () => {
      base._transform = transform
    },
  }
}
