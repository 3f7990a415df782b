import { afterEach, describe, expect, test } from '@jest/globals'
import type { Defer, HandlerDecorators, Memos } from '@sluice/core'
import { type Booted, frameworks } from '../decorators/boot.ts'

type Whole = Booted['sluice'] & HandlerDecorators & Memos & { defer: Defer; warm: unknown }

describe.each(frameworks.map((one) => [one.name, one] as const))('memos beside responses: %s', (_name, framework) => {
  let booted: Booted
  afterEach(() => booted.stop())

  test('an instance has everything', async () => {
    booted = await framework.boot()
    const { cached, limited, invalidates, memoized, memo, defer, warm } = booted.sluice as Whole
    for (const member of [cached, limited, invalidates, memoized, memo, defer, warm]) {
      expect(typeof member).toBe('function')
    }
  })

  test('one tag purges both, from a handler too', async () => {
    booted = await framework.boot()
    const sluice = booted.sluice as Whole
    let loads = 0
    const load = sluice.memo(async (id: string) => ({ id, load: ++loads }), { ttl: '1h', tags: ['cities'] })
    const read = sluice.cached('1h', { tags: ['cities'] })(async (...args: unknown[]) => {
      return booted.respond(args, await load('7'))
    })
    booted.route('/city', read)
    booted.route(
      '/change',
      sluice.invalidates('cities')((...args: unknown[]) => booted.respond(args, {})),
    )
    const client = await booted.start()
    const loaded = async () => (await client.request('/city')).json().load
    expect([await loaded(), await loaded(), load.info().hits]).toEqual([1, 1, 0])
    await sluice.purge({ tags: ['others'] })
    expect(await loaded()).toBe(1)
    await sluice.purge({ tags: ['cities'] })
    expect(await loaded()).toBe(2)
    expect((await client.request('/change', { method: 'POST' })).status).toBe(200)
    expect(await loaded()).toBe(3)
  })

  test('a memo that fails is a handler that fails', async () => {
    booted = await framework.boot()
    const fail = (booted.sluice as Whole).memo(
      async (): Promise<string> => {
        throw Object.assign(new Error('down'), { status: 503, statusCode: 503, expose: true })
      },
      { ttl: '1h' },
    )
    booted.route(
      '/city',
      booted.sluice.cached('1h')(async (...args: unknown[]) => booted.respond(args, await fail())),
    )
    const client = await booted.start()
    expect((await client.request('/city')).status).toBe(503)
    expect((await client.request('/city')).status).toBe(503)
    expect(fail.info().errors).toBe(2)
  })
})
