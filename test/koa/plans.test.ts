import { PassThrough, Readable, Transform } from 'node:stream'
import { expect, test } from '@jest/globals'
import type { BodyPlan, Exchange, Outcome, Pipeline, Reply, ResponseHead } from '@sluice/core'
import type { Context } from 'koa'
import { mountKoa } from '../../packages/koa/src/mount.ts'
import { describeKoa } from './harness.ts'

/** A pipeline that wants one thing, and what it was told. */
function wanting(plan: BodyPlan, more: Partial<Exchange> = {}): Pipeline & { told: unknown[]; heads: ResponseHead[] } {
  const told: unknown[] = []
  const heads: ResponseHead[] = []
  const exchange: Exchange = {
    onHead(head) {
      told.push('head')
      heads.push(head)
      return plan
    },
    onBody(_head, body) {
      told.push(Buffer.from(body).toString())
      return { status: 200, fields: ['Content-Type', 'text/plain', 'Content-Length', '4'], body: Buffer.from('held') }
    },
    onClose: (outcome: Outcome) => void told.push(outcome),
    ...more,
  }
  return { name: 'wish', open: () => ({ kind: 'proceed', exchange }), told, heads }
}

const instead: Reply = { status: 203, fields: ['X-Reply', 'yes'], body: Buffer.from('instead') }
const upper = () => new Transform({ transform: (chunk, _, done) => done(null, String(chunk).toUpperCase()) })

describeKoa('a plan is obeyed', (boot) => {
  test('the middleware has the name of what it does', () => {
    expect(mountKoa(wanting({ mode: 'pass' })).name).toBe('sluiceWish')
  })

  test('reply: the handler does not run, and no promise is made', () => {
    const set: Record<string, unknown> = {}
    const res = {
      getHeader: () => undefined,
      setHeader: (name: string, value: unknown) => {
        set[name] = value
      },
      hasHeader: () => true,
      removeHeader() {},
    }
    const ctx = { headerSent: false, req: { url: '/', headers: {} }, res, response: {} }
    const run = mountKoa({ name: 'wish', open: () => ({ kind: 'reply', reply: instead }) })
    expect(run(ctx as unknown as Context, async () => expect(true).toBe(false))).toBeUndefined()
    expect(ctx.response).toMatchObject({ status: 203, body: Buffer.from('instead') })
    expect(set).toEqual({ 'X-Reply': 'yes' })
  })

  test('replace: the handler’s stream is let go, its fields are dropped, those of earlier middleware stay', async () => {
    const source = new Readable({ read() {} })
    const app = await boot((app) =>
      app
        .use((ctx, next) => {
          ctx.set('X-Earlier', 'kept')
          ctx.set('X-Changed', 'as it was')
          return next()
        })
        .use(mountKoa(wanting({ mode: 'replace', reply: instead })))
        .use((ctx) => {
          ctx.set('X-Handler', 'dropped')
          ctx.set('X-Changed', 'by the handler')
          ctx.body = source
        }),
    )
    const answer = await app.get('/')
    expect([answer.status, answer.text, answer.header('x-reply')]).toEqual([203, 'instead', 'yes'])
    expect(answer.header('x-earlier')).toBe('kept')
    expect(answer.header('x-changed')).toBe('as it was')
    expect(answer.header('x-handler')).toBeUndefined()
    // The handler's own Content-Type is not the reply's, and a Buffer is not given one.
    expect(answer.header('content-type')).toBeUndefined()
    expect(source.destroyed).toBe(true)
  })

  test('hold: the body is asked for once, and the answer is sent', async () => {
    const wish = wanting({ mode: 'hold' })
    const app = await boot((app) =>
      app.use(mountKoa(wish)).use((ctx) => {
        ctx.body = { a: 1 }
      }),
    )
    expect((await app.get('/')).text).toBe('held')
    expect(wish.heads[0]).toMatchObject({ status: 200, body: 'whole', length: 7 })
    expect(wish.told).toEqual(['head', '{"a":1}', 'sent'])
  })

  test.each([
    ['text', 'whole', () => 'ab' as unknown],
    ['a stream', 'pieces', () => Readable.from(['a', 'b']) as unknown],
  ])('tee: %s goes on, and is handed over when it is whole', async (_, kind, make) => {
    const wish = wanting({ mode: 'tee', limit: 2 })
    const app = await boot((app) =>
      app.use(mountKoa(wish)).use((ctx) => {
        ctx.body = make()
      }),
    )
    expect((await app.get('/')).text).toBe('ab')
    expect(wish.told).toEqual(['head', 'ab', 'sent'])
    expect(wish.heads[0]!.body).toBe(kind)
  })

  test.each([
    ['text', () => 'abc' as unknown],
    ['a stream', () => Readable.from(['ab', 'c']) as unknown],
  ])('tee: %s over the limit goes on and is not handed over', async (_, make) => {
    const wish = wanting({ mode: 'tee', limit: 2 })
    const app = await boot((app) =>
      app.use(mountKoa(wish)).use((ctx) => {
        ctx.body = make()
      }),
    )
    expect((await app.get('/')).text).toBe('abc')
    expect(wish.told).toEqual(['head', 'sent'])
  })

  test.each([
    ['text', () => 'abc' as unknown],
    ['an object', () => ({ a: 'b' })],
    ['a stream', () => Readable.from(['ab', 'c']) as unknown],
  ])('through: %s goes through the transform', async (_, make) => {
    const bare = await boot((app) => app.use((ctx) => void Object.assign(ctx, { body: make() })))
    const app = await boot((app) =>
      app
        .use((ctx, next) => {
          const head = (h: ResponseHead): BodyPlan => {
            h.fields.delete('content-length')
            return { mode: 'through', transform: upper() }
          }
          return mountKoa(wanting({ mode: 'pass' }, { onHead: head }))(ctx, next)
        })
        .use((ctx) => void Object.assign(ctx, { body: make() })),
    )
    expect((await app.get('/')).text).toBe((await bare.get('/')).text.toUpperCase())
  })

  test.each(['pass', 'hold'] as const)('%s: nothing is sent before what it waits for is over', async (mode) => {
    const gate = new PassThrough()
    let over = false
    const settled = new Promise<void>((resolve) =>
      gate.on('data', () => {
        over = true
        resolve()
      }),
    )
    const app = await boot((app) =>
      app.use(mountKoa(wanting({ mode }, { settled: () => settled }))).use((ctx) => {
        ctx.body = 'done'
        setTimeout(() => gate.write('!'), 20)
      }),
    )
    expect((await app.get('/')).status).toBe(200)
    expect(over).toBe(true)
  })

  test('an error of a pipeline goes where Koa’s errors go', async () => {
    const broken: Pipeline = {
      name: 'broken',
      open() {
        throw new Error('inside')
      },
    }
    const later: Pipeline = { name: 'later', open: () => Promise.reject(new Error('later')) }
    for (const pipeline of [
      broken,
      later,
      wanting({ mode: 'hold' }, { onBody: () => Promise.reject(new Error('b')) }),
    ]) {
      const app = await boot((app) => app.use(mountKoa(pipeline)).use((ctx) => void Object.assign(ctx, { body: 'x' })))
      expect((await app.get('/')).status).toBe(500)
      expect(app.errors).toHaveLength(1)
    }
  })

  test('an error of a hand-over behind the answer is reported and disturbs nobody', async () => {
    const wish = wanting({ mode: 'tee', limit: 9 }, { onBody: () => Promise.reject(new Error('store')) })
    const app = await boot((app) =>
      app.use(mountKoa(wish)).use((ctx) => {
        ctx.body = Readable.from(['a'])
      }),
    )
    expect((await app.get('/')).text).toBe('a')
    expect(app.errors.map(String)).toEqual(['Error: store'])
  })
})
