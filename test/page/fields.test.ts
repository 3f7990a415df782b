import { gzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { resolveFieldsPolicy } from '../../packages/core/src/page/fields/fields-options.ts'
import { applyMask, compileMask } from '../../packages/core/src/page/fields/mask.ts'
import { type AppSpec, type Ctx, describeHosts } from '../hosts/harness/host.ts'

const body = {
  id: 1,
  name: 'Oslo',
  country: { code: 'NO', name: 'Norway', money: { code: 'NOK', name: 'krone' } },
  tags: ['a', 'b'],
  near: [
    { id: 2, name: 'Bærum', km: 12 },
    { id: 3, name: 'Asker', km: 20 },
  ],
}

const select = (text: string, value: unknown = body, maxDepth = 4): unknown => {
  const mask = compileMask(text, maxDepth)
  if (typeof mask === 'string') throw new Error(mask)
  return JSON.parse(JSON.stringify(applyMask(value, mask)) ?? 'null')
}

describe('the language (that of json-mask)', () => {
  test.each<[string, unknown]>([
    ['id', { id: 1 }],
    ['id,name', { id: 1, name: 'Oslo' }],
    ['id,name,country(code)', { id: 1, name: 'Oslo', country: { code: 'NO' } }],
    ['country/code', { country: { code: 'NO' } }],
    ['country/money/code,id', { id: 1, country: { money: { code: 'NOK' } } }],
    ['country(code,money(code)),id', { id: 1, country: { code: 'NO', money: { code: 'NOK' } } }],
    ['country(money/code,name)', { country: { name: 'Norway', money: { code: 'NOK' } } }],
    ['near(name)', { near: [{ name: 'Bærum' }, { name: 'Asker' }] }],
    ['near/km', { near: [{ km: 12 }, { km: 20 }] }],
    ['country/*', { country: body.country }],
    ['*', body],
    ['*(code)', { country: { code: 'NO' }, tags: [], near: [{}, {}] }],
    ['tags', { tags: ['a', 'b'] }],
    ['none', {}],
    ['name(length)', {}],
    ['name/*', {}],
    ['constructor,toString,hasOwnProperty', {}],
    ['country(constructor(name))', { country: {} }],
  ])('%s', (text, expected) => {
    expect(select(text)).toEqual(expected)
  })

  test('of a list it selects in each item; null stays null', () => {
    expect(select('id', [{ id: 1, x: 2 }, null, { x: 3 }])).toEqual([{ id: 1 }, null, {}])
  })

  test('an escaped character means itself', () => {
    expect(select('a\\/b,\\*', { 'a/b': 1, '*': 2, c: 3 })).toEqual({ 'a/b': 1, '*': 2 })
  })

  test('a member named __proto__ is one like any other', () => {
    expect(Object.keys(select('a(*)', JSON.parse('{"a":{"__proto__":{"x":1},"y":2}}')) as object)).toEqual(['a'])
    expect(JSON.stringify(applyMask(JSON.parse('{"__proto__":{"x":1},"y":2}'), compileMask('*', 1) as never))).toBe(
      '{"__proto__":{"x":1},"y":2}',
    )
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })

  test.each([
    [''],
    [','],
    ['a,'],
    [',a'],
    ['a,,b'],
    ['a('],
    ['a()'],
    ['a(b'],
    ['a)'],
    ['a(b))'],
    ['(a)'],
    ['a/'],
    ['/a'],
    ['a//b'],
    ['a(b)c'],
    ['a(b)/c'],
    ['a(b)(c)'],
    ['a(,b)'],
    ['a\\'],
    ['__proto__'],
    ['a(\\__proto__)'],
    ['a\u0000'],
    ['a\nb'],
  ])('%j is no selection', (text) => {
    expect(typeof compileMask(text, 4)).toBe('string')
  })

  test.each([
    ['a', 1],
    ['a/b', 2],
    ['a(b)', 2],
    ['a(b/c)', 3],
    ['a(b/c,d)', 3],
    ['a/b(c/d),e', 4],
    ['a(b),c(d),e/f', 2],
  ])('%s is %i levels deep', (text, depth) => {
    expect(typeof compileMask(text, depth)).toBe('object')
    if (depth > 1) expect(compileMask(text, depth - 1)).toBe(`must be at most ${depth - 1} levels deep`)
  })

  test('whatever a client sends is a selection or is said not to be one, and nothing throws', () => {
    const piece = fc.constantFrom('a', 'b', 'near', 'name', '*', '(', ')', '/', ',', '\\', ' ', 'é', '__proto__')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.jsonValue(), (pieces, value) => {
        const mask = compileMask(pieces.join(''), 4)
        if (typeof mask === 'string') return
        for (const from of [body, value]) {
          const trimmed = JSON.stringify(applyMask(from, mask)) ?? ''
          expect(trimmed.length).toBeLessThanOrEqual(JSON.stringify(from).length)
        }
      }),
    )
  })
})

test.each<[object, RegExp]>([
  [{ depth: 3 }, /There is no option `fields\.depth`/],
  [{ maxDepth: 0 }, /`fields\.maxDepth`/],
  [{ maxLength: 1.5 }, /`fields\.maxLength`/],
  [{ store: 'full' }, /`fields\.store` must be one of "trimmed", "whole"/],
  [{ param: 'a b' }, /`fields\.param`/],
])('options %j throw at start-up', (options, message) => {
  expect(() => resolveFieldsPolicy(options)).toThrow(message)
})

describeHosts('fields', (host) => {
  const sendBody = (c: Ctx): void => c.send(body)
  const boot = (route: Partial<AppSpec['routes'][number]> = {}) =>
    host.boot({ routes: [{ path: '/city', fields: {}, handler: sendBody, ...route }] })

  test('sends what was selected, with its length', async () => {
    const answer = await (await boot()).get('/city?fields=id,name,country(code)')
    expect(answer.json()).toEqual({ id: 1, name: 'Oslo', country: { code: 'NO' } })
    expect(answer.header('content-length')).toBe(String(answer.body.length))
    expect(answer.header('content-type')).toMatch(/^application\/json/)
  })

  test('without the parameter everything is sent as it is', async () => {
    expect((await (await boot()).get('/city')).json()).toEqual(body)
  })

  test('HEAD never tells the length of the whole', async () => {
    const app = await boot()
    const whole = await app.get('/city')
    const head = await app.request('/city?fields=id', { method: 'HEAD' })
    expect([head.status, head.body.length]).toEqual([200, 0])
    expect([undefined, '8', String('{"id":1}'.length)]).toContain(head.header('content-length'))
    expect(head.header('content-length')).not.toBe(whole.header('content-length'))
  })

  test.each([
    ['fields=', 'must name at least one field'],
    ['fields=a(b', 'has a "(" that is not closed'],
    ['fields=a)', 'has a ")" too many (character 2)'],
    ['fields=a&fields=b', 'may be given once'],
    ['fields=a/b/c/d/e', 'must be at most 4 levels deep'],
    ['fields=a…', 'must be at most 512 characters long'],
  ])('?%s is 400 problem+json naming the parameter', async (query, detail) => {
    let runs = 0
    const answer = await (await boot({ handler: () => void runs++ })).get(
      `/city?${query.replace('…', ',a'.repeat(300))}`,
    )
    expect(answer.status).toBe(400)
    expect(answer.header('content-type')).toBe('application/problem+json')
    expect(answer.json()).toMatchObject({ status: 400, parameter: 'fields', detail: `"fields" ${detail}.` })
    expect(runs).toBe(0)
  })

  test('streams pass untouched', async () => {
    const app = await boot({
      handler(c) {
        c.set('Content-Type', 'application/json')
        return c.stream(pieces(['{"id":1,', '"name":"Oslo"}']))
      },
    })
    expect((await app.get('/city?fields=id')).json()).toEqual({ id: 1, name: 'Oslo' })
  })

  test.each<[string, (c: Ctx) => void, string]>([
    ['text', (c) => c.send('{"id":1,"x":2}'), '{"id":1,"x":2}'],
    ['an error', (c) => c.status(404).send({ id: 1, x: 2 }), '{"id":1,"x":2}'],
    ['JSON that is none', (c) => typedAs(c, 'application/json').send('{"id":1,'), '{"id":1,'],
    ['a problem', (c) => typedAs(c, 'application/problem+json').send('{"id":1,"x":2}'), '{"id":1,"x":2}'],
  ])('%s passes untouched', async (_, handler, text) => {
    expect((await (await boot({ handler })).get('/city?fields=id')).text).toBe(text)
  })

  test('an encoded body passes untouched', async () => {
    const bytes = gzipSync(JSON.stringify(body))
    const handler = (c: Ctx): void => {
      c.set('Content-Type', 'application/json')
      c.set('Content-Encoding', 'gzip')
      c.send(bytes)
    }
    expect((await (await boot({ handler })).get('/city?fields=id')).body).toEqual(bytes)
  })

  test('vendor types of JSON are JSON', async () => {
    const handler = (c: Ctx): void => {
      c.set('Content-Type', 'application/vnd.city+json')
      c.send(JSON.stringify(body))
    }
    expect((await (await boot({ handler })).get('/city?fields=id')).json()).toEqual({ id: 1 })
  })

  test('fields of the response stay; a digest of the whole does not', async () => {
    const app = await boot({
      before: [(c) => c.append('Set-Cookie', 'a=1')],
      handler(c) {
        c.append('Set-Cookie', 'b=2')
        c.set('X-Own', 'yes')
        c.set('Content-Digest', 'sha-256=:AAAA:')
        c.status(201).send(body)
      },
    })
    const answer = await app.get('/city?fields=id')
    expect([answer.status, answer.header('x-own'), answer.lines('set-cookie')]).toEqual([201, 'yes', ['a=1', 'b=2']])
    expect(answer.header('content-digest')).toBeUndefined()
  })

  test('of an envelope only its items are selected from', async () => {
    const app = await boot({
      fields: { at: 'data' },
      paginate: { envelope: true, count: 'never', defaultLimit: 1 },
      handler: (c) => c.send(c.page.reply([{ id: 1, name: 'a' }], { hasMore: true }) as object),
    })
    const answer = await app.get('/city?fields=id')
    expect(answer.json()).toMatchObject({ data: [{ id: 1 }], page: { limit: 1 }, links: { next: '?fields=id&page=2' } })
    expect(answer.json().data).toEqual([{ id: 1 }])
    expect(answer.header('link')).toContain('?fields=id&page=2')
  })

  describe('with a cache', () => {
    const cache = { ttl: '1m' } as const

    test('behind it, each selection is stored as it is sent', async () => {
      let runs = 0
      const handler = (c: Ctx): void => {
        runs++
        sendBody(c)
      }
      const app = await boot({ cache, handler })
      for (const [query, expected] of [
        ['?fields=id', { id: 1 }],
        ['?fields=name', { name: 'Oslo' }],
        ['', body],
      ] as const) {
        const [miss, hit] = [await app.get(`/city${query}`), await app.get(`/city${query}`)]
        expect([miss.json(), hit.json(), hit.cache]).toEqual([expected, expected, 'hit'])
        expect(hit.header('etag')).toBe(miss.header('etag'))
      }
      expect(runs).toBe(3)
    })

    test('in front of it, the whole is stored once and every selection is a hit', async () => {
      let runs = 0
      const handler = (c: Ctx): void => {
        runs++
        sendBody(c)
      }
      const app = await boot({ cache, fields: { store: 'whole' }, handler })
      expect((await app.get('/city?fields=id')).json()).toEqual({ id: 1 })
      for (const [query, expected] of [
        ['?fields=name', { name: 'Oslo' }],
        ['', body],
        ['?fields=id', { id: 1 }],
      ] as const) {
        const hit = await app.get(`/city${query}`)
        expect([hit.json(), hit.cache]).toEqual([expected, 'hit'])
        expect(hit.header('content-length')).toBe(String(hit.body.length))
      }
      expect(runs).toBe(1)
    })

    test('in front of it, other parameters stay in the key', async () => {
      const app = await boot({ cache, fields: { store: 'whole' }, handler: (c) => c.send({ id: c.query.n, x: 1 }) })
      await app.get('/city?n=1&fields=id')
      expect((await app.get('/city?n=2&fields=id')).json()).toEqual({ id: '2' })
      expect((await app.get('/city?fields=x&n=1')).cache).toBe('hit')
    })

    test.each([['trimmed'], ['whole']] as const)('If-None-Match is answered 304 (%s)', async (store) => {
      const app = await boot({ cache, fields: { store } })
      const etag = (await app.get('/city?fields=id')).header('etag')!
      const again = await app.get('/city?fields=id', { 'if-none-match': etag })
      expect([again.status, again.body.length]).toEqual([304, 0])
    })

    test('a bad selection is neither stored nor a hit', async () => {
      const app = await boot({ cache })
      for (let time = 0; time < 2; time++) {
        const answer = await app.get('/city?fields=(')
        expect([answer.status, answer.stored, answer.cache === 'hit']).toEqual([400, false, false])
      }
    })
  })
})

describeHosts(
  'selections behind a key without them',
  (host) => {
    test('are not stored, and it is said why', async () => {
      const app = await host.boot({
        routes: [{ path: '/city', cache: { ttl: '1m', query: ['q'] }, fields: {}, handler: (c) => c.send(body) }],
      })
      const one = await app.get('/city?fields=id')
      expect([one.stored, one.detail]).toEqual([false, 'unkeyed-query'])
      expect((await app.get('/city?fields=name')).json()).toEqual({ name: 'Oslo' })
    })
  },
  (kind) => kind.framework !== 'fastify',
)

async function* pieces(all: readonly string[]): AsyncGenerator<string> {
  yield* all
}

function typedAs(c: Ctx, type: string): Ctx {
  c.set('Content-Type', type)
  return c
}
