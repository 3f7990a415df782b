import { AsyncLocalStorage } from 'node:async_hooks'
import http from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { SluiceOptions } from '@sluice/core'
import { type Booted, frameworks } from '../decorators/boot.ts'
import type { Client } from '../hosts/harness/client.ts'
import { gate, turn, until } from '../hosts/harness/host.ts'
import { instance } from '../memo/stores.ts'

describe('work for later', () => {
  test('runs after this turn, in order, and what it brings is not waited for', async () => {
    const sluice = instance()
    const seen: string[] = []
    expect(sluice.defer(() => seen.push('one'))).toBe(true)
    sluice.defer(async () => seen.push('two'))
    seen.push('now')
    await null
    expect(seen).toEqual(['now'])
    await turn()
    await turn()
    expect(seen).toEqual(['now', 'one', 'two'])
    expect(sluice.stats().defer).toEqual({ running: 0, waiting: 0, done: 2, failed: 0, dropped: 0 })
  })

  test('a few pieces at a time', async () => {
    const sluice = instance({ defer: { concurrency: 2 } })
    const gates = [gate(), gate(), gate(), gate(), gate()]
    let most = 0
    let running = 0
    for (const one of gates) {
      sluice.defer(async () => {
        most = Math.max(most, ++running)
        await one
        running--
      })
    }
    await turn()
    expect(sluice.stats().defer).toMatchObject({ running: 2, waiting: 3 })
    for (const one of gates) one.open()
    await until(() => sluice.stats().defer.done === 5)
    expect(most).toBe(2)
  })

  test('what comes on top of the queue is turned away, with an event', async () => {
    const sluice = instance({ defer: { concurrency: 1, maxQueue: 2 } })
    const taken = [1, 2, 3].map(() => sluice.defer(() => {}))
    expect(taken).toEqual([true, true, false])
    expect(sluice.errors).toEqual([expect.objectContaining({ code: 'ERR_SLUICE_DEFER' })])
    await turn()
    await turn()
    expect(sluice.stats().defer).toMatchObject({ done: 2, dropped: 1 })
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('broken')
      },
    ],
  ])('an error that it %s is an event, and the rest goes on', async (_how, work) => {
    const sluice = instance()
    let ran = false
    sluice.defer(work)
    sluice.defer(() => {
      ran = true
    })
    await turn()
    await turn()
    expect(sluice.errors).toEqual([
      expect.objectContaining({ code: 'ERR_SLUICE_CALLBACK', message: 'Work given to `defer` failed: broken.' }),
    ])
    expect([ran, sluice.stats().defer.failed]).toEqual([true, 1])
  })

  test('close() waits for it, also for work that work has begun', async () => {
    const sluice = instance({ defer: { concurrency: 1 } })
    const seen: number[] = []
    const open = gate()
    sluice.defer(async () => {
      await open
      seen.push(1)
    })
    sluice.defer(() => seen.push(2))
    const closed = sluice.close().then(() => seen.push(3))
    await turn()
    expect(seen).toEqual([])
    open.open()
    await closed
    expect(seen).toEqual([1, 2, 3])
    expect(sluice.defer(() => {})).toBe(false)
  })

  test('close() gives up after `drainTimeout`, and says how much was left', async () => {
    const sluice = instance({ defer: { concurrency: 1, drainTimeout: '2s' } })
    sluice.defer(() => gate())
    sluice.defer(() => {})
    const closed = sluice.close()
    await turn()
    await sluice.clock.advance(2_000)
    await closed
    expect(sluice.errors[0]?.message).toMatch(/2 were not over 2000 ms after `close\(\)`/)
  })

  test('the request’s own AsyncLocalStorage goes on in it', async () => {
    const sluice = instance()
    const storage = new AsyncLocalStorage<string>()
    let seen: string | undefined
    storage.run('request 1', () => {
      sluice.defer(() => {
        seen = storage.getStore()
      })
    })
    await turn()
    expect(seen).toBe('request 1')
  })

  test.each<[string, unknown[], RegExp]>([
    ['no function', [5], /`defer\(work\)` must be a function; received 5/],
    ['no response', [{}, () => {}], /must be given `res`, `ctx` or `reply` first/],
    ['a request', [new http.IncomingMessage(null as never), () => {}], /must be given `res`/],
  ])('%s is refused', (_what, given, message) => {
    expect(() => (instance().defer as (...args: unknown[]) => unknown)(...given)).toThrow(message)
  })

  test.each<[string, SluiceOptions['defer'], RegExp]>([
    ['concurrency', { concurrency: 0 }, /`defer\.concurrency` must be a whole number above 0/],
    ['an unknown option', { max: 1 } as never, /no option `defer\.max`/],
  ])('%s is checked at the start', (_what, defer, message) => {
    expect(() => instance({ defer })).toThrow(message)
  })
})

describe.each(frameworks.map((one) => [one.name, one] as const))('defer(response, work): %s', (name, framework) => {
  let booted: Booted
  let client: Client
  afterEach(() => booted.stop())

  test('runs when the client has its answer', async () => {
    booted = await framework.boot()
    const { sluice, respond } = booted as Booted & { sluice: { defer(response: object, work: () => unknown): boolean } }
    const seen: string[] = []
    booted.route('/a', (...args: unknown[]) => {
      const response = name.startsWith('Koa') ? args[0] : args[1]
      sluice.defer(response as object, () => seen.push(finished(response) ? 'after' : 'before'))
      seen.push('answering')
      return respond(args, { ok: true })
    })
    client = await booted.start()
    expect((await client.request('/a')).status).toBe(200)
    await until(() => seen.length === 2)
    expect(seen).toEqual(['answering', 'after'])
  })

  test('runs when the client has gone away instead', async () => {
    booted = await framework.boot()
    const { sluice } = booted as Booted & { sluice: { defer(response: object, work: () => unknown): boolean } }
    const arrived = gate()
    let ran = false
    booted.route('/a', (...args: unknown[]) => {
      sluice.defer((name.startsWith('Koa') ? args[0] : args[1]) as object, () => {
        ran = true
      })
      arrived.open()
      return new Promise(() => {})
    })
    client = await booted.start()
    const abort = new AbortController()
    const request = client.request('/a', { signal: abort.signal }).catch(() => 'gone')
    await arrived
    abort.abort()
    expect(await request).toBe('gone')
    await until(() => ran)
  })
})

function finished(response: unknown): boolean {
  const { raw, res } = response as { raw?: http.ServerResponse; res?: http.ServerResponse }
  return (raw ?? res ?? (response as http.ServerResponse)).writableFinished
}
