import { Readable } from 'node:stream'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Client } from '../hosts/harness/client.ts'
import { type Booted, frameworks } from './boot.ts'

describe.each(frameworks.map((one) => [one.name, one] as const))('wrapped handlers: %s', (name, framework) => {
  let booted: Booted
  let client: Client
  afterEach(() => booted.stop())

  test('a body that comes in pieces is stored when it is whole', async () => {
    booted = await framework.boot()
    let runs = 0
    const pieces = function* () {
      runs++
      yield 'one '
      yield 'two'
    }
    const handler = (first: unknown, second: unknown): unknown => {
      const stream = Readable.from(pieces())
      if (name.startsWith('Koa')) return void Object.assign(first as object, { body: stream })
      if (name.startsWith('Fastify')) return (second as { send(body: unknown): unknown }).send(stream)
      return stream.pipe(second as NodeJS.WritableStream)
    }
    booted.route('/pieces', booted.sluice.cached('1m')(handler))
    client = await booted.start()
    for (let i = 0; i < 2; i++) expect((await client.request('/pieces')).text).toBe('one two')
    expect([(await client.request('/pieces')).cache, runs]).toEqual(['hit', 1])
  })

  test('`res.sluice`, `ctx.sluice`, `reply.sluice` are the handler’s own', async () => {
    booted = await framework.boot()
    const control = (args: unknown[]) =>
      ((name.startsWith('Koa') ? args[0] : args[1]) as { sluice: { tag(...tags: string[]): void; skip(): void } })
        .sluice
    let runs = 0
    const { sluice, respond } = booted
    booted.route(
      '/tagged',
      sluice.cached('1m')((...args: unknown[]) => {
        control(args).tag('late')
        return respond(args, { run: ++runs })
      }),
    )
    booted.route(
      '/skipped',
      sluice.cached('1m')((...args: unknown[]) => {
        control(args).skip()
        return respond(args, {})
      }),
    )
    client = await booted.start()
    await client.request('/tagged')
    expect((await client.request('/tagged')).cache).toBe('hit')
    await sluice.purge({ tags: ['late'] })
    expect((await client.request('/tagged')).json()).toEqual({ run: 2 })
    expect((await client.request('/skipped')).stored).toBe(false)
  })

  test('ten requests at once run the handler once', async () => {
    booted = await framework.boot()
    let runs = 0
    const { sluice, respond } = booted
    const handler = async (...args: unknown[]): Promise<unknown> => {
      runs++
      await new Promise((resolve) => setTimeout(resolve, 20))
      return respond(args, { runs })
    }
    booted.route('/slow', sluice.cached('1m')(handler))
    client = await booted.start()
    const all = await Promise.all(Array.from({ length: 10 }, () => client.request('/slow')))
    expect([runs, new Set(all.map((one) => one.text)).size]).toEqual([1, 1])
  })

  test('a handler that passes on: what comes behind is what is stored', async () => {
    // Fastify has no such thing.
    const passes = !name.startsWith('Fastify') && name !== 'node:http'
    booted = await framework.boot()
    let runs = 0
    const { sluice, respond } = booted
    const last = (...args: unknown[]) => respond(args, { run: ++runs })
    const middleware = (...args: unknown[]): unknown => {
      const next = args.at(-1) as () => unknown
      return passes ? next() : last(...args)
    }
    booted.route('/on', sluice.cached('1m')(name.startsWith('Koa') ? koaShape(middleware) : expressShape(middleware)))
    if (passes) booted.route('/on', last)
    client = await booted.start()
    expect((await client.request('/on')).json()).toEqual({ run: 1 })
    expect((await client.request('/on')).cache).toBe('hit')
  })
})

const koaShape = (fn: (...args: unknown[]) => unknown) => (ctx: unknown, next: unknown) => fn(ctx, next)
const expressShape = (fn: (...args: unknown[]) => unknown) => (req: unknown, res: unknown, next: unknown) =>
  fn(req, res, next)
