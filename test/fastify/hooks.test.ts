import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import sluice from '@sluice/fastify'
import Fastify, { type FastifyInstance } from 'fastify'

let app: FastifyInstance
beforeEach(() => {
  app = Fastify()
})
afterEach(() => app.close())

const cached = { config: { sluice: { cache: '5m' } } } as const

describe('other onSend hooks', () => {
  const envelope = (payload: unknown): unknown => (typeof payload === 'string' ? `[${payload}]` : payload)

  test.each(['before', 'after'])('registered %s Sluice, change a payload once, on a hit as on a miss', async (when) => {
    const hook = async (_: unknown, __: unknown, payload: unknown): Promise<unknown> => envelope(String(payload))
    const before = async (_: unknown, __: unknown, payload: unknown): Promise<unknown> => envelope(payload)
    if (when === 'before') app.addHook('onSend', before)
    await app.register(sluice)
    if (when === 'after') app.addHook('onSend', hook)
    app.get('/it', cached, async () => 'body')
    for (let i = 0; i < 3; i++) expect((await app.inject('/it')).body).toBe('[body]')
    expect(app.sluice.stats().cache.hits).toBe(2)
  })

  test('fields they set are set afresh on each hit, and never stored', async () => {
    await app.register(sluice)
    app.addHook('onSend', async (request, reply) => {
      const { origin } = request.headers
      if (origin) reply.header('access-control-allow-origin', origin)
    })
    app.get('/it', cached, async () => 'body')
    const from = (origin?: string) => app.inject({ url: '/it', headers: origin ? { origin } : {} })
    expect((await from('https://a.example')).headers['access-control-allow-origin']).toBe('https://a.example')
    expect((await from('https://b.example')).headers['access-control-allow-origin']).toBe('https://b.example')
    expect((await from()).headers).not.toHaveProperty('access-control-allow-origin')
    expect(app.sluice.stats().cache.hits).toBe(2)
  })

  test.each(['before', 'after'])('a compressor registered %s Sluice compresses once', async (when) => {
    let compressions = 0
    const compressor = async (request: never, reply: never, payload: unknown): Promise<unknown> => {
      const { headers } = request as { headers: Record<string, string> }
      const r = reply as import('fastify').FastifyReply
      if (!headers['accept-encoding']?.includes('gzip') || r.hasHeader('content-encoding')) return payload
      if (payload === undefined || payload === null) return payload
      compressions++
      r.header('content-encoding', 'gzip').header('vary', 'accept-encoding').removeHeader('content-length')
      return gzipSync(payload as string)
    }
    if (when === 'before') app.addHook('onSend', compressor as never)
    await app.register(sluice)
    if (when === 'after') app.addHook('onSend', compressor as never)
    app.get('/it', cached, async () => 'body')
    const gzip = { url: '/it', headers: { 'accept-encoding': 'gzip' } }
    const first = await app.inject(gzip)
    const hit = await app.inject(gzip)
    expect(hit.rawPayload).toEqual(first.rawPayload)
    expect(hit.headers['content-encoding']).toBe('gzip')
    expect(hit.headers['content-length']).toBe(String(hit.rawPayload.byteLength))
    const plain = await app.inject('/it')
    expect([plain.body, plain.headers['content-encoding']]).toEqual(['body', undefined])
    // In front of Sluice each hit is compressed; behind it the stored form is.
    expect(compressions).toBe(when === 'before' ? 1 : 2)
  })

  test('that fail give an error answer, without a trace of the one it replaces', async () => {
    await app.register(sluice)
    let fail = false
    app.addHook('onSend', async (_, reply) => {
      if (fail && reply.statusCode === 200) throw new Error('hook')
    })
    app.get('/it', cached, async () => 'body')
    await app.inject('/it')
    fail = true
    const failed = await app.inject('/it')
    expect(failed.statusCode).toBe(500)
    expect(failed.json()).toMatchObject({ message: 'hook' })
    for (const name of ['etag', 'age', 'cache-control', 'cache-status']) expect(failed.headers).not.toHaveProperty(name)
    fail = false
    expect((await app.inject('/it')).body).toBe('body')
  })

  test('that fail before Sluice is reached give an error answer, and not the stored one under its status', async () => {
    let fail = false
    app.addHook('onSend', async (_, reply) => {
      if (fail && reply.statusCode === 200) throw new Error('hook')
    })
    await app.register(sluice)
    app.get('/it', cached, async () => 'body')
    await app.inject('/it')
    fail = true
    const failed = await app.inject('/it')
    expect(failed.statusCode).toBe(500)
    expect(failed.json()).toMatchObject({ message: 'hook' })
    expect(failed.headers).not.toHaveProperty('etag')
  })
})

describe('fields set by earlier hooks', () => {
  test('are applied afresh on each hit, and never stored; the handler’s own stand over them', async () => {
    await app.register(sluice)
    let n = 0
    app.addHook('onRequest', async (_, reply) => {
      reply.headers({ 'x-request-id': String(++n), 'x-both': 'hook', vary: 'Origin' })
      reply.header('set-cookie', `visit=${n}`)
      reply.raw.setHeader('x-raw', String(n))
    })
    app.get('/it', cached, async (_, reply) => {
      reply.headers({ 'x-own': 'handler', 'x-both': 'handler', link: ['<a>', '<b>'] })
      reply.header('vary', 'Origin, Accept-Language')
      return 'body'
    })
    await app.inject('/it')
    const hit = await app.inject('/it')
    expect(hit.headers).toMatchObject({
      'x-request-id': '2',
      'x-raw': '2',
      'set-cookie': 'visit=2',
      'x-both': 'handler',
      'x-own': 'handler',
      vary: 'Origin, Accept-Language',
      link: ['<a>', '<b>'],
    })
    expect(hit.headers['cache-status']).toMatch(/; hit/)
  })

  test('a cookie that the handler sets keeps its answer out of the store', async () => {
    await app.register(sluice)
    app.get('/it', cached, async (_, reply) => reply.header('set-cookie', 'a=b').send('body'))
    await app.inject('/it')
    expect((await app.inject('/it')).headers['cache-status']).toMatch(/detail=set-cookie/)
  })

  test('also where a cookie plugin writes the field later', async () => {
    await app.register(sluice)
    app.decorateReply('setCookie', function (this: import('fastify').FastifyReply, name: string, value: string) {
      ;(this as { jar?: string }).jar = `${name}=${value}`
      return this
    } as never)
    app.addHook('onSend', async (_, reply) => {
      const { jar } = reply as { jar?: string }
      if (jar) reply.header('set-cookie', jar)
    })
    app.get('/it', cached, async (_, reply) => {
      ;(reply as unknown as { setCookie(n: string, v: string): void }).setCookie('sid', 'alice')
      return 'alice’s'
    })
    for (let i = 0; i < 2; i++) {
      const answer = await app.inject('/it')
      expect(answer.headers['set-cookie']).toBe('sid=alice')
      expect(answer.headers['cache-status']).toMatch(/detail=set-cookie/)
    }
  })
})

describe('errors', () => {
  test('a stale answer stands in for a throw, an error reply and an error handler’s answer', async () => {
    let now = 1_000_000
    const clock = { ...timeless, now: () => now, wall: () => now }
    await app.register(sluice, { clock: clock as never })
    let how: 'well' | 'throws' | 'sends' | 'rejects' = 'well'
    app.get('/it', { config: { sluice: { cache: '1s', staleIfError: '1h' } } }, (_, reply) => {
      if (how === 'throws') throw new Error('thrown')
      if (how === 'rejects') return Promise.reject(new Error('rejected'))
      if (how === 'sends') return reply.code(503).send({ sorry: true })
      return reply.send('body')
    })
    await app.inject('/it')
    now += 10_000
    for (how of ['throws', 'sends', 'rejects'] as const) {
      const answer = await app.inject('/it')
      expect([how, answer.statusCode, answer.body]).toEqual([how, 200, 'body'])
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
    }
  })

  test('setErrorHandler has its say, and its answer is not stored', async () => {
    await app.register(sluice)
    app.setErrorHandler((error, _, reply) => reply.code(418).send({ caught: (error as Error).message }))
    app.get('/it', cached, async () => {
      throw new Error('thrown')
    })
    for (let i = 0; i < 2; i++) {
      const answer = await app.inject('/it')
      expect([answer.statusCode, answer.json()]).toEqual([418, { caught: 'thrown' }])
    }
  })

  test('an error inside a route’s own function is reported, and the request goes on', async () => {
    await app.register(sluice)
    const events: unknown[] = []
    app.sluice.on('error', (event) => events.push(event))
    const unless = (): never => {
      throw new Error('mine')
    }
    app.get('/it', { config: { sluice: { cache: '5m', unless } } }, async () => 'body')
    expect((await app.inject('/it')).body).toBe('body')
    expect(events).toHaveLength(1)
  })

  test('a handler that is too slow for handlerTimeout is answered 503, and others do not wait for it', async () => {
    await app.register(sluice)
    let runs = 0
    app.get('/it', { ...cached, handlerTimeout: 20 }, () => (runs++ ? 'body' : new Promise(() => {})))
    expect((await app.inject('/it')).statusCode).toBe(503)
    expect((await app.inject('/it')).body).toBe('body')
  })

  test('reply.callNotFound() in a handler is not stored', async () => {
    await app.register(sluice)
    app.get('/it', cached, (_, reply) => reply.callNotFound())
    for (let i = 0; i < 2; i++) expect((await app.inject('/it')).statusCode).toBe(404)
    expect(app.sluice.stats().cache.stored).toBe(0)
  })
})

describe('one run for many', () => {
  test('requests that come while a handler runs share its answer, also of a callback handler', async () => {
    await app.register(sluice)
    let runs = 0
    app.get('/it', cached, (_, reply) => {
      runs++
      setTimeout(() => reply.send({ runs }), 20)
    })
    const answers = await Promise.all(Array.from({ length: 10 }, () => app.inject('/it')))
    expect(runs).toBe(1)
    for (const answer of answers) expect(answer.json()).toEqual({ runs: 1 })
  })

  test('where the answer may not be shared, each runs its own handler, async or by callback', async () => {
    await app.register(sluice)
    let runs = 0
    app.get('/callback', cached, (_, reply) => {
      reply.header('cache-control', 'no-store')
      const mine = ++runs
      setTimeout(() => reply.send({ mine }), 5)
    })
    app.get('/async', cached, async (_, reply) => {
      reply.header('cache-control', 'private')
      const mine = ++runs
      await new Promise((resolve) => setTimeout(resolve, 5))
      return { mine }
    })
    for (const url of ['/callback', '/async']) {
      runs = 0
      const answers = await Promise.all(Array.from({ length: 5 }, () => app.inject(url)))
      expect(answers.map((a) => a.json().mine).sort()).toEqual([1, 2, 3, 4, 5])
    }
  })

  test('the key may have to be waited for', async () => {
    await app.register(sluice)
    let runs = 0
    const varyBy = async (): Promise<string> => 'tenant'
    app.get('/it', { config: { sluice: { cache: '5m', varyBy } } }, (_, reply) => {
      runs++
      setTimeout(() => reply.send('body'), 5)
    })
    for (let i = 0; i < 3; i++) expect((await app.inject('/it')).body).toBe('body')
    expect(runs).toBe(1)
  })
})

test('stale-while-revalidate refreshes an injected request through the whole application', async () => {
  let now = 1_000_000
  const clock = { ...timeless, now: () => now, wall: () => now }
  await app.register(sluice, { clock: clock as never })
  let runs = 0
  let hooks = 0
  app.addHook('onRequest', async () => void hooks++)
  app.get('/it', { config: { sluice: { cache: '1s', staleWhileRevalidate: '1h' } } }, async () => `run ${++runs}`)
  await app.inject('/it')
  now += 5_000
  expect((await app.inject('/it')).body).toBe('run 1')
  for (let i = 0; i < 20 && runs < 2; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect((await app.inject('/it')).body).toBe('run 2')
  expect(hooks).toBe(4)
})

test('the handler keeps its `this`', async () => {
  await app.register(sluice)
  app.decorate('greeting', 'hello')
  app.get('/it', cached, async function () {
    return (this as unknown as { greeting: string }).greeting
  })
  expect((await app.inject('/it')).body).toBe('hello')
})

/** A clock whose timers are real and whose hands the test moves. */
const timeless = {
  after: (ms: number, act: () => void) => {
    const timer = setTimeout(act, ms)
    return () => clearTimeout(timer)
  },
}
