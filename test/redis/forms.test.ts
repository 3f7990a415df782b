import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import type { CacheRecord, StoredForm } from '../../packages/core/src/cache/entry/record.ts'
import { everythingTag, userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { Forms } from '../../packages/core/src/cache/forms/forms.ts'
import type { CacheStore, Vacancy, VariantSelector } from '../../packages/core/src/cache/store/store.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { replaceFrame } from '../../packages/redis/src/cache/store/scripts.ts'
import { type Call, Link } from '../../packages/redis/src/connection/link.ts'
import { clientOf, codingsOf, countingRecipe, selected } from '../cache-store/encoders.ts'
import { bodyOf, makeRecord, plain, requestWith, variantFor } from '../cache-store/fixtures.ts'
import { timed } from '../support/lateness.ts'
import { until } from '../support/redis-server.ts'
import { redis, wired } from './library.ts'
import { onOwnServer } from './skips.ts'
import { freshName, storeOn } from './support.ts'
import { clock, one, other, pair, put, server } from './two-processes.ts'

const gzip: StoredForm = { coding: 'gzip', body: Buffer.from([31, 139, 0]), etag: '"tag;gzip"' }
const br: StoredForm = { coding: 'br', body: Buffer.from([7]), etag: '"tag;br"' }

const held = async (store: CacheStore, select: VariantSelector = plain.select) =>
  (await store.get('k', select)) as CacheRecord
const found = async (store: CacheStore) => {
  const record = (await store.get('k', plain.select)) as CacheRecord | Vacancy
  return record.kind === 'record' ? [bodyOf(record), ...codingsOf(record).slice(1)] : record.kind
}
const frames = () => one.keys('*:f')

/** A connection on which something happens each time just before a form is written, when it was read already. */
class Interrupted extends Link {
  #meanwhile: (() => Promise<unknown>) | undefined
  writes = 0

  once(meanwhile: () => Promise<unknown>): void {
    this.#meanwhile = meanwhile
  }

  override async run(call: Call): Promise<unknown> {
    if (call.script.sha === replaceFrame.sha) {
      this.writes++
      const meanwhile = this.#meanwhile
      this.#meanwhile = undefined
      await meanwhile?.()
    }
    return super.run(call)
  }
}

function interrupted(over: Parameters<typeof storeOn>[1] = {}) {
  const name = freshName()
  const link = new Interrupted(wired(one))
  return { link, a: storeOn(one, { name, ...over, link }), b: storeOn(other, { name, ...over }) }
}

describe('a form made in one process', () => {
  test('is found by the others, whole, with what is known of it', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'one')
    const best = { ...gzip, best: true }
    expect(await b.addForm('k', plain.select, await held(a), best)).toBe(true)
    const { forms } = await held(a)
    expect(forms).toHaveLength(2)
    expect(forms[1]).toMatchObject({ coding: 'gzip', etag: '"tag;gzip"', best: true })
    expect([...forms[1]!.body]).toEqual([31, 139, 0])
  })

  test('is not made in the others, fast or at the best level', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'one')
    const processOf = (store: RedisCacheStore) => {
      const recipe = countingRecipe(3)
      const ask = <T>(_what: string, fn: () => T) => fn()
      const forms = new Forms({ store, clock, ask })
      const hit = async () => forms.forHit(selected(clientOf('gzip', recipe)), await held(store))
      return { recipe, hit }
    }
    const [here, there] = [processOf(a), processOf(b)]
    expect(codingsOf(await here.hit())).toEqual(['identity', 'gzip'])
    await until(async () => (await held(b)).forms.length === 2)
    for (let i = 0; i < 3; i++) await here.hit()
    await until(async () => (await held(b)).forms[1]!.best === true)
    for (let i = 0; i < 6; i++) expect(codingsOf(await there.hit())).toEqual(['identity', 'gzip'])
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect([here.recipe.encoded, here.recipe.improved]).toEqual([['gzip'], ['gzip']])
    expect([there.recipe.encoded, there.recipe.improved]).toEqual([[], []])
  })

  test('costs a hit nothing: still one script and one read, whatever forms there are', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'one')
    for (const form of [gzip, br]) await a.addForm('k', plain.select, await held(a), form)
    await server.resetStats()
    for (let i = 0; i < 10; i++) await b.get('k', plain.select)
    const { evalsha = 0, eval: evaluated = 0, mget } = await server.calls()
    expect([evalsha + evaluated, mget]).toEqual([10, 10])
  })

  test('is written once where many make it at the same moment, and all know that it is there', async () => {
    const name = freshName()
    const stores = Array.from({ length: 6 }, (_, i) => storeOn(i % 2 ? one : other, { name }))
    await put(stores[0]!, 'k', 'one')
    const record = await held(stores[0]!)
    const taken = await Promise.all(stores.map((store) => store.addForm('k', plain.select, record, gzip)))
    expect(taken).toEqual(stores.map(() => true))
    expect(await found(stores[0]!)).toEqual(['one', 'gzip'])
  })

  test('does not push out one of another coding that is made at the same moment', async () => {
    const [a, b] = pair()
    for (let round = 0; round < 20; round++) {
      await put(a, 'k', `${round}`)
      const record = await held(b)
      const [zstd, deflate] = [
        { ...br, coding: 'zstd' },
        { ...br, coding: 'deflate' },
      ]
      const adding = [gzip, br, zstd, deflate].map((form, i) =>
        (i % 2 ? a : b).addForm('k', plain.select, record, form),
      )
      expect(await Promise.all(adding)).toEqual([true, true, true, true])
      expect(codingsOf(await held(a)).toSorted()).toEqual(['br', 'deflate', 'gzip', 'identity', 'zstd'])
    }
  })

  test('does not take the place of one that is as good, nor a fast one that of the best', async () => {
    const { link, a, b } = interrupted()
    await put(a, 'k', 'one')
    const record = await held(a)
    const best = { ...gzip, body: Buffer.from([1]), best: true }
    expect(await b.addForm('k', plain.select, record, best)).toBe(true)
    for (const form of [gzip, { ...best, body: Buffer.from([2]) }]) {
      expect(await a.addForm('k', plain.select, record, form)).toBe(true)
    }
    expect(link.writes).toBe(0)
    expect([...(await held(b)).forms[1]!.body]).toEqual([1])
  })

  test('does not make an entry live longer', async () => {
    const [a] = pair()
    await put(a, 'k', 'one', { deleteAt: clock.now() + 10_000 })
    const left = async () => Promise.all((await one.keys('*:[ef]')).map((key) => one.pttl(key)))
    expect(await left()).toHaveLength(2)
    await new Promise((resolve) => setTimeout(resolve, 30))
    const before = Math.max(...(await left()))
    expect(await a.addForm('k', plain.select, await held(a), gzip)).toBe(true)
    for (const ms of await left()) {
      expect(ms).toBeLessThanOrEqual(before)
      expect(ms).toBeGreaterThan(before - 5_000)
    }
  })

  test('may be added to what was expired, which stays as stale as it was', async () => {
    const [a, b] = pair()
    const later = clock.now() + 90_000
    await put(a, 'k', 'one', { tags: ['t'], whileRevalidateUntil: later, deleteAt: later })
    await a.invalidate([userTag('t')], 'expire')
    const before = await held(b)
    expect(await b.addForm('k', plain.select, before, gzip)).toBe(true)
    const after = await held(a)
    expect(after.forms).toHaveLength(2)
    expect(Math.abs(after.staleAt - before.staleAt)).toBeLessThan(50)
    expect(Math.abs(after.deleteAt - before.deleteAt)).toBeLessThan(50)
  })

  test('that would make the entry too large is left out, and the entry stays', async () => {
    const [a, b] = pair({ maxEntryBytes: 1_000 })
    await put(a, 'k', 'x'.repeat(500))
    expect(await a.addForm('k', plain.select, await held(a), { ...gzip, body: Buffer.alloc(600) })).toBe(false)
    expect(codingsOf(await held(b))).toEqual(['identity'])
  })

  test('nor does one keep a response out that has room without it', async () => {
    const [a, b] = pair({ maxEntryBytes: 1_000 })
    const large = { coding: 'br', body: Buffer.alloc(600), etag: undefined }
    const forms = [...makeRecord(clock, 'x'.repeat(400)).forms, gzip, large]
    expect(await put(a, 'k', '', { forms })).toBe('stored')
    expect(codingsOf(await held(b))).toEqual(['identity', 'gzip'])
  })
})

describe('what happens between the moment a form is read for and the moment it is written', () => {
  type Stores = { readonly a: RedisCacheStore; readonly b: RedisCacheStore }
  const remove = async (pattern: string) => {
    for (const key of await one.keys(pattern)) await one.del(key)
  }
  const rows: [what: string, meanwhile: (stores: Stores) => Promise<unknown>, taken: boolean, expected: unknown][] = [
    ['its tag is purged', ({ b }) => b.invalidate([userTag('t')], 'purge'), false, 'vacancy'],
    ['everything is purged', ({ b }) => b.invalidate([everythingTag], 'purge'), false, 'vacancy'],
    ['something else is purged', ({ b }) => b.invalidate([userTag('u')], 'purge'), true, ['one', 'gzip']],
    ['another response takes its place', ({ b }) => put(b, 'k', 'two'), false, ['two']],
    ['the same response is stored again', ({ b }) => put(b, 'k', 'one'), true, ['one', 'gzip']],
    [
      'it is purged and stored again',
      async ({ b }) => {
        await b.invalidate([userTag('t')], 'purge')
        await put(b, 'k', 'two', { tags: ['t'] })
      },
      false,
      ['two'],
    ],
    ['it is deleted', ({ b }) => b.delete('k'), false, 'vacancy'],
    ['its frame is evicted', () => remove('*:f'), false, 'vacancy'],
    ['its entry is evicted', () => remove('*:e'), false, 'vacancy'],
    ['the clock of its lane is evicted', () => remove('*}c'), false, 'vacancy'],
    ['Redis loses everything', () => one.flushall(), false, 'vacancy'],
    [
      'another form is added',
      async ({ b }) => b.addForm('k', plain.select, await held(b), br),
      true,
      ['one', 'br', 'gzip'],
    ],
    [
      'the same form is added',
      async ({ b }) => b.addForm('k', plain.select, await held(b), gzip),
      true,
      ['one', 'gzip'],
    ],
  ]

  test.each(rows)('%s', async (what, meanwhile, taken, expected) => {
    const { link, a, b } = interrupted({ laneCount: 1 })
    await put(a, 'k', 'one', { tags: ['t'] })
    const record = await held(a)
    link.once(() => meanwhile({ a, b }))
    expect(await a.addForm('k', plain.select, record, gzip)).toBe(taken)
    expect(link.writes).toBeGreaterThan(0)
    for (const store of [a, b]) expect(await found(store)).toEqual(expected)
    // Nothing lies about that nobody can be given, but what was evicted had left behind.
    const left = expected === 'vacancy' && !/entry is evicted/.test(what) ? 0 : 1
    expect(await frames()).toHaveLength(left)
  })

  test("its key comes to vary: what was stored for all is nobody's, and gets no form", async () => {
    const { link, a, b } = interrupted()
    const english = requestWith({ l: 'en' })
    await put(a, 'k', 'hello', {}, { ...plain, select: english })
    const record = await held(a, english)
    link.once(() => put(b, 'k', 'hallo', {}, variantFor(['l'], { l: 'de' })))
    expect(await a.addForm('k', english, record, gzip)).toBe(false)
    expect(codingsOf(await held(b, requestWith({ l: 'de' })))).toEqual(['identity'])
    expect((await held(b, english)).kind).toBe('vacancy')
    expect(await frames()).toHaveLength(1)
  })

  test('it changes each time it is tried: the form is given up, and not tried for ever', async () => {
    const { link, a, b } = interrupted()
    await put(a, 'k', 'one')
    const record = await held(a)
    const again = async (): Promise<void> => {
      await put(b, 'k', 'one')
      link.once(again)
    }
    link.once(again)
    expect(await a.addForm('k', plain.select, record, gzip)).toBe(false)
    expect(link.writes).toBeLessThan(10)
    expect(await found(b)).toEqual(['one'])
  })

  test('purges, stores and forms in disorder: no form ever stands beside bytes it was not made of', async () => {
    const [a, b] = pair({ laneCount: 1 })
    let version = 0
    const work = async (store: RedisCacheStore, coding: string) => {
      for (let i = 0; i < 150; i++) {
        const record = (await store.get('k', plain.select)) as CacheRecord | Vacancy
        if (record.kind === 'vacancy') {
          await store.set('k', plain, makeRecord(clock, `${version}`, { tags: ['t'] }), record)
          continue
        }
        const text = bodyOf(record)
        for (const form of record.forms.slice(1))
          expect(Buffer.from(form.body).toString()).toBe(`${form.coding} ${text}`)
        const form = { coding, body: Buffer.from(`${coding} ${text}`), etag: undefined }
        await store.addForm('k', plain.select, record, form)
        if (i % 7 === 0) {
          version++
          await store.invalidate([userTag('t')], 'purge')
        }
      }
    }
    await Promise.all([work(a, 'gzip'), work(b, 'br'), work(a, 'zstd'), work(b, 'deflate')])
  })
})

describe('while Redis is in trouble', () => {
  onOwnServer('frozen: the form is given up in time, and the record is what it was', async () => {
    const deadlines = { readMs: 40, writeMs: 60, purgeMs: 1_000 }
    const [a, b] = pair({ deadlines })
    await put(a, 'k', 'one')
    const record = await held(a)
    server.freeze()
    try {
      const { ms } = await timed(() =>
        expect(a.addForm('k', plain.select, record, gzip)).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' }),
      )
      expect(ms).toBeLessThan(200)
    } finally {
      server.thaw()
    }
    await until(async () => (await found(b))[0] === 'one')
    expect(await a.addForm('k', plain.select, record, gzip)).toBe(true)
    expect(await found(b)).toEqual(['one', 'gzip'])
  })

  onOwnServer('known to be out: nothing is sent, and no request has to find out that it is back', async () => {
    const [a] = pair({ deadlines: { readMs: 20, writeMs: 20, purgeMs: 1_000 } })
    await put(a, 'k', 'one')
    const record = await held(a)
    server.freeze()
    try {
      for (let i = 0; i < 5; i++) await expect(a.get('k', plain.select)).rejects.toThrow()
      expect(await a.addForm('k', plain.select, record, gzip)).toBe(false)
      await new Promise((resolve) => setTimeout(resolve, 1_050))
      expect(await a.addForm('k', plain.select, record, gzip)).toBe(false)
      expect(await a.get('k', plain.select)).toBeUndefined()
    } finally {
      server.thaw()
    }
    await until(async () => (await a.get('k', plain.select)) !== undefined, 2_000)
  })

  onOwnServer('out of memory: the form is not stored, and the record stays', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'one')
    const record = await held(a)
    await one.config('SET', 'maxmemory-policy', 'noeviction')
    await one.config('SET', 'maxmemory', '1')
    try {
      await expect(a.addForm('k', plain.select, record, gzip)).rejects.toThrow(/OOM|memory/)
      expect(await found(b)).toEqual(['one'])
    } finally {
      await one.config('SET', 'maxmemory', '0')
    }
  })

  test('after close nothing is added', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'one')
    const record = await held(a)
    await a.close()
    expect(await a.addForm('k', plain.select, record, gzip)).toBe(false)
    expect(await found(b)).toEqual(['one'])
  })
})

describe('an application behind a compressor', () => {
  const text = JSON.stringify(Array.from({ length: 300 }, (_, i) => ({ id: i, name: `city ${i}` })))
  const closing: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  async function application(namespace: string, tier: false | object) {
    const sluice = createSluice({ backend: redis(server.url, { namespace, tier }) })
    const [compress, cached] = [sluice.compress(), sluice.cache('1m', { guard: 'off' })]
    const http: Server = createServer((req: IncomingMessage, res: ServerResponse) =>
      compress(req, res, () =>
        cached(req, res, () => {
          res.setHeader('content-type', 'application/json')
          res.end(text)
        }),
      ),
    )
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const errors: string[] = []
    sluice.on('error', ({ error }) => errors.push(error.message))
    closing.push(
      () => new Promise((resolve) => http.close(resolve)),
      () => sluice.close(),
    )
    const get = async (coding: string) => {
      const { port } = http.address() as AddressInfo
      return timed(async () => {
        const answer = await rawGet(port, coding)
        return { ...answer, hit: /hit/.test(answer.cacheStatus) }
      })
    }
    await until(async () => {
      await get('br')
      return (await get('br')).value.hit
    })
    return { get, errors }
  }

  test.each<[false | object]>([[false], [{}]])('tier %j: what one process encodes, all send', async (tier) => {
    const name = freshName()
    const a = await application(name, tier)
    const { value } = await a.get('gzip')
    expect([value.hit, value.coding]).toEqual([true, 'gzip'])
    expect(gunzipSync(value.body).toString()).toBe(text)
    const codings = async () => {
      const [frame] = await frames()
      return /\[\["identity".*?\]\]/.exec((await one.getBuffer(frame!))!.toString('latin1'))![0]
    }
    await until(async () => /"br".*"gzip"/.test(await codings()))
    const written = (await one.getBuffer((await frames())[0]!))!
    const b = await application(name, tier)
    const there = (await b.get('gzip')).value
    expect([there.hit, there.coding]).toEqual([true, 'gzip'])
    expect(there.body.equals(value.body)).toBe(true)
    // The second process had nothing to add.
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await one.getBuffer((await frames())[0]!))!.equals(written)).toBe(true)
  })

  onOwnServer('a hit in memory is not held up by a frozen Redis that is to take its form', async () => {
    const a = await application(freshName(), {})
    // Until memory has it, and the right to answer.
    await until(async () => {
      await server.resetStats()
      await a.get('identity')
      return (await server.calls()).mget === undefined
    })
    server.freeze()
    try {
      const { value, ms } = await a.get('gzip')
      expect([value.hit, value.coding]).toEqual([true, 'gzip'])
      expect(gunzipSync(value.body).toString()).toBe(text)
      // Its deadline is 50 ms.
      expect(ms).toBeLessThan(45)
    } finally {
      server.thaw()
    }
  })
})

function rawGet(port: number, coding: string) {
  return new Promise<{ body: Buffer; coding: string | undefined; cacheStatus: string }>((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/', headers: { 'accept-encoding': coding } }, (res) => {
      const parts: Buffer[] = []
      res.on('data', (part) => parts.push(part))
      res.on('end', () =>
        resolve({
          body: Buffer.concat(parts),
          coding: res.headers['content-encoding'],
          cacheStatus: String(res.headers['cache-status']),
        }),
      )
    })
      .on('error', reject)
      .end()
  })
}
