import { afterEach, describe, expect, test } from '@jest/globals'
import type { CacheRecord, StoredForm } from '../../packages/core/src/cache/entry/record.ts'
import {
  everythingTag,
  routeTags,
  serializeParams,
  urlTags,
  userTag,
} from '../../packages/core/src/cache/entry/record-tags.ts'
import { recordWith } from '../../packages/core/src/cache/entry/record-with.ts'
import type { CacheStore, Vacancy, Variant } from '../../packages/core/src/cache/store/store.ts'
import { bodyOf, makeRecord, plain, requestWith, type TestClock, target, testClock, variantFor } from './fixtures.ts'

/** Makes a store that keeps time by the clock it is given. */
export type MakeStore = (
  clock: TestClock,
  options?: { readonly maxVariants?: number },
) => CacheStore | Promise<CacheStore>

/** What every cache store must do, whatever holds its records. Run against each of them. */
export function describeCacheStore(name: string, makeStore: MakeStore): void {
  const opened: CacheStore[] = []

  async function open(options?: { readonly maxVariants?: number }) {
    const clock = testClock()
    const store = await makeStore(clock, options)
    opened.push(store)
    const get = async (key: string, select = plain.select) => (await store.get(key, select)) as CacheRecord | Vacancy
    const position = async (key: string) => (await store.position(key)) as Vacancy
    const put = async (key: string, body: string, over: Partial<CacheRecord> = {}, variant: Variant = plain) =>
      store.set(key, variant, makeRecord(clock, body, over), await position(key))
    const read = async (key: string, select = plain.select) => bodyOf(await get(key, select))
    return { clock, store, get, position, put, read }
  }

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  describe(`${name}: what is stored`, () => {
    test('comes back with every part of it', async () => {
      const { clock, store, get, position } = await open()
      const record = makeRecord(clock, '', {
        status: 404,
        fields: ['Link', '</a>; rel="x"', 'Link', '</b>', 'X-Latin', 'é'],
        forms: [
          { coding: 'identity', body: Buffer.from([0, 255, 10, 13, 128]), etag: '"a"' },
          { coding: 'br', body: Buffer.from([]), etag: undefined },
        ],
        initialAgeMs: 7_000,
        mustRevalidate: true,
        shared: false,
        ownTag: false,
        tags: ['cities', 'city:1'],
        target: { ...target, query: undefined, route: undefined, params: undefined },
      })
      expect(await store.set('k', plain, record, await position('k'))).toBe('stored')
      const found = (await get('k')) as CacheRecord
      const { forms, ...rest } = recordWith(found, {})
      const { forms: given, ...expected } = record
      expect(rest).toEqual(expected)
      expect(forms.map((f) => [f.coding, f.etag, [...f.body]])).toEqual(
        given.map((f) => [f.coding, f.etag, [...f.body]]),
      )
    })

    test('replaces what was under the key', async () => {
      const { put, read, store } = await open()
      await put('k', 'one')
      await put('k', 'two')
      expect(await read('k')).toBe('two')
      expect((await store.usage()).entries).toBe(1)
    })

    test('is found under its own key only, whatever the key looks like', async () => {
      const { put, read } = await open()
      const keys = [
        '__proto__',
        'constructor',
        '',
        '\0',
        'a\0b',
        'a',
        'b',
        '*',
        'é',
        '漢',
        '\ud800',
        'x'.repeat(100_000),
      ]
      for (const [i, key] of keys.entries()) await put(key, String(i))
      for (const [i, key] of keys.entries()) expect(await read(key)).toBe(String(i))
      expect(await read('toString')).toBe('vacancy:key')
    })

    test('is not there before, nor after delete', async () => {
      const { put, read, store } = await open()
      expect(await read('k')).toBe('vacancy:key')
      await put('k', 'one')
      await store.delete('k')
      expect(await read('k')).toBe('vacancy:key')
    })

    test('stays what it was when the buffer it came in is used again', async () => {
      const { clock, store, read, position } = await open()
      const pool = Buffer.alloc(64, 'a')
      const record = makeRecord(clock)
      const forms = [{ coding: 'identity', body: pool.subarray(0, 4), etag: undefined }]
      await store.set('k', plain, { ...record, forms }, await position('k'))
      pool.fill('b')
      expect(await read('k')).toBe('aaaa')
    })
  })

  describe(`${name}: time`, () => {
    test('a record is given out until its deleteAt, fresh or stale, and never from then on', async () => {
      const { clock, put, read } = await open()
      const now = clock.now()
      await put('k', 'one', { staleAt: now + 10, deleteAt: now + 50 })
      clock.tick(49)
      expect(await read('k')).toBe('one')
      clock.tick(1)
      expect(await read('k')).toBe('vacancy:key')
    })

    test('a TTL of 30 days is 30 days (timers overflow above 2^31 - 1 ms)', async () => {
      const { clock, put, read } = await open()
      const days30 = 30 * 86_400_000
      await put('k', 'one', { staleAt: clock.now() + days30, deleteAt: clock.now() + days30 })
      await new Promise((resolve) => setTimeout(resolve, 60))
      expect(await read('k')).toBe('one')
      clock.tick(days30 - 1)
      expect(await read('k')).toBe('one')
      clock.tick(1)
      expect(await read('k')).toBe('vacancy:key')
    })
  })

  describe(`${name}: variants (RFC 9111 §4.1)`, () => {
    const english = { 'accept-language': 'en' }
    const german = { 'accept-language': 'de' }

    test('records under one key are told apart by the fields of the spec', async () => {
      const { put, read } = await open()
      await put('k', 'hello', {}, variantFor(['accept-language'], english))
      expect(await read('k', requestWith(german))).toBe('vacancy:vary')
      await put('k', 'hallo', {}, variantFor(['accept-language'], german))
      expect(await read('k', requestWith(english))).toBe('hello')
      expect(await read('k', requestWith(german))).toBe('hallo')
      expect(await read('k', requestWith({}))).toBe('vacancy:vary')
    })

    test('a spec joins what the key had: a field once named goes on telling requests apart', async () => {
      const { put, read } = await open()
      await put('k', 'one', {}, variantFor(['accept-language'], english))
      const both = { ...english, accept: 'text/html' }
      await put('k', 'two', {}, variantFor(['accept'], both))
      expect(await read('k', requestWith(both))).toBe('two')
      expect(await read('k', requestWith({ ...both, 'accept-language': 'de' }))).toBe('vacancy:vary')
      expect(await read('k', requestWith({ ...both, accept: 'text/plain' }))).toBe('vacancy:vary')
      await put('k', 'three', {}, { spec: plain.spec, select: requestWith({ 'accept-language': 'fr' }) })
      expect(await read('k', requestWith(both))).toBe('two')
      expect(await read('k', requestWith({ 'accept-language': 'fr' }))).toBe('three')
    })

    test('what was stored without a spec does not answer for a variant, nor the other way about', async () => {
      const { put, read } = await open()
      await put('k', 'plain')
      await put('k', 'hello', {}, variantFor(['accept-language'], english))
      expect(await read('k', requestWith(german))).toBe('vacancy:vary')
      expect(await read('k', requestWith(english))).toBe('hello')
    })

    test('codings are remembered in the order they were seen', async () => {
      const { clock, store, get, position } = await open()
      for (const coding of ['gzip', 'br', 'gzip']) {
        const variant: Variant = {
          spec: { fields: [], codings: [coding] },
          select: (s) => JSON.stringify([s.codings, coding]),
        }
        await store.set('k', variant, makeRecord(clock, coding), await position('k'))
      }
      let seen: readonly string[] = []
      await get('k', (spec) => {
        seen = spec.codings
        return ''
      })
      expect(seen).toEqual(['gzip', 'br'])
    })

    test('delete and purge take all of them', async () => {
      const { put, read, store } = await open()
      for (const end of [
        () => store.delete('k'),
        () => store.invalidate(urlTags({ path: '/cities', query: '' }), 'purge'),
      ]) {
        await put('k', 'hello', {}, variantFor(['accept-language'], english))
        await put('k', 'hallo', {}, variantFor(['accept-language'], german))
        await end()
        for (const fields of [english, german]) expect(await read('k', requestWith(fields))).toMatch(/^vacancy/)
      }
    })

    test('a key has at most so many; of more, none is stored', async () => {
      const { put, read } = await open({ maxVariants: 3 })
      for (let i = 0; i < 10; i++) await put('k', `v${i}`, {}, variantFor(['x'], { x: String(i) }))
      const left: string[] = []
      for (let i = 0; i < 10; i++) left.push(await read('k', requestWith({ x: String(i) })))
      expect(left.filter((body) => !body.startsWith('vacancy'))).toEqual(['v0', 'v1', 'v2'])
    })

    test('one that is told so says how many; what may not be given out any more makes room', async () => {
      const { clock, store, put, read } = await open({ maxVariants: 8 })
      const of = (x: string) => ({ ...variantFor(['x'], { x }), most: 2 })
      const outcomes: unknown[] = []
      for (const x of ['a', 'b', 'c']) {
        const record = makeRecord(clock, x, { tags: [x] })
        outcomes.push(await store.set('k', of(x), record, (await store.position('k')) as Vacancy))
      }
      expect(outcomes).toEqual(['stored', 'stored', 'full'])
      await store.invalidate([userTag('a')], 'purge')
      await put('k', 'c', {}, of('c'))
      expect(await Promise.all(['a', 'b', 'c'].map((x) => read('k', of(x).select)))).toEqual(['vacancy:vary', 'b', 'c'])
    })
  })

  describe(`${name}: fencing`, () => {
    const tags = ['cities']
    for (const mode of ['purge', 'expire'] as const) {
      test(`read starts, ${mode}, read finishes: what it read is not stored`, async () => {
        const { clock, store, get, read } = await open()
        const vacancy = (await get('k')) as Vacancy
        await store.invalidate([userTag('cities')], mode)
        expect(await store.set('k', plain, makeRecord(clock, 'old', { tags }), vacancy)).toBe('fenced')
        expect(await read('k')).toBe('vacancy:key')
      })
    }

    test('the same with a position taken for a refresh, and for a variant', async () => {
      const { clock, store, put, read, position } = await open()
      await put('k', 'old', { tags })
      const vacancy = await position('k')
      await store.invalidate([userTag('cities')], 'purge')
      expect(await store.set('k', plain, makeRecord(clock, 'old', { tags }), vacancy)).toBe('fenced')
      const variant = variantFor(['x'], {})
      expect(await store.set('k', variant, makeRecord(clock, 'old', { tags }), vacancy)).toBe('fenced')
      expect(await read('k')).toBe('vacancy:key')
    })

    test('an invalidation of something else does not hinder', async () => {
      const { clock, store, get, read } = await open()
      const vacancy = (await get('k')) as Vacancy
      await store.invalidate([userTag('people')], 'purge')
      expect(await store.set('k', plain, makeRecord(clock, 'new', { tags }), vacancy)).toBe('stored')
      expect(await read('k')).toBe('new')
    })

    test('a fill that starts after the purge is stored', async () => {
      const { store, put, read } = await open()
      await store.invalidate([userTag('cities')], 'purge')
      expect(await put('k', 'new', { tags })).toBe('stored')
      expect(await read('k')).toBe('new')
    })

    test('a position the store did not give out is not believed', async () => {
      const { clock, store } = await open()
      for (const position of [undefined, null, 'x', {}, Number.NaN]) {
        const vacancy: Vacancy = { kind: 'vacancy', reason: 'key', position }
        expect(await store.set('k', plain, makeRecord(clock), vacancy)).not.toBe('stored')
      }
    })
  })

  describe(`${name}: purge and expire`, () => {
    const route = '/cities/:id'
    const params = (id: string) => serializeParams({ id })
    const part: Partial<CacheRecord> = { target: { ...target, query: undefined } }
    const hit = { ...target, path: '/cities/1', route, params: params('1'), query: 'a=1' }
    const rows: readonly [what: string, over: Partial<CacheRecord>, tags: readonly string[], gone: boolean][] = [
      ['its tag', { tags: ['a', 'b'] }, [userTag('b')], true],
      ['another tag', { tags: ['a', 'b'] }, [userTag('c')], false],
      ['one of several tags', { tags: ['a'] }, [userTag('c'), userTag('a')], true],
      ['no tags', { tags: ['a'] }, [], false],
      ['a tag named like its path', {}, [userTag('/cities'), userTag('*')], false],
      ['everything', {}, [everythingTag], true],
      ['its path', { target: hit }, urlTags({ path: '/cities/1', query: undefined }), true],
      ['another path', { target: hit }, urlTags({ path: '/cities/2', query: undefined }), false],
      ['its path here', { target: hit }, urlTags({ ...hit, query: undefined }), true],
      ['its path elsewhere', { target: hit }, urlTags({ ...hit, authority: 'b.test', query: undefined }), false],
      [
        'its path, any scheme',
        { target: hit },
        urlTags({ authority: 'API.test:80', path: hit.path, query: 'a=1' }),
        true,
      ],
      ['its path and query', { target: hit }, urlTags({ path: '/cities/1', query: 'a=1' }), true],
      [
        'its path and query, reordered and escaped',
        { target: { ...hit, query: 'b=%61&a=1' } },
        urlTags({ path: '/Cities/%31/', query: 'a=1&b=a' }),
        true,
      ],
      ['its path and another query', { target: hit }, urlTags({ path: '/cities/1', query: 'a=2' }), false],
      ['its path without a query', { target: hit }, urlTags({ path: '/cities/1', query: '' }), false],
      ['any query, where its key holds a part', part, urlTags({ path: '/cities', query: 'x=1' }), true],
      ['its route', { target: hit }, routeTags(route), true],
      ['another route', { target: hit }, routeTags('/cities'), false],
      ['its route and parameters', { target: hit }, routeTags(route, { id: 1 }), true],
      ['its route and other parameters', { target: hit }, routeTags(route, { id: '2' }), false],
    ]
    test.each(rows)('purging %s', async (_what, over, tags, gone) => {
      const { put, read, store } = await open()
      await put('k', 'one', over)
      expect(await read('k')).toBe('one')
      await store.invalidate(tags, 'purge')
      expect(await read('k')).toBe(gone ? 'vacancy:key' : 'one')
      expect(await read('k')).toBe(gone ? 'vacancy:key' : 'one')
    })

    test('a purged record is not served stale either (bentocache: deleteByTag with a grace period)', async () => {
      const { clock, put, read, store } = await open()
      const later = clock.now() + 1e6
      await put('k', 'one', { tags: ['a'], whileRevalidateUntil: later, ifErrorUntil: later, deleteAt: later })
      await store.invalidate([userTag('a')], 'purge')
      expect(await read('k')).toBe('vacancy:key')
    })

    test('an expired record is stale from that moment, with its windows counted from there', async () => {
      const { clock, get, put, store } = await open()
      const now = clock.now()
      await put('k', 'one', {
        tags: ['a'],
        staleAt: now + 60_000,
        whileRevalidateUntil: now + 90_000,
        ifErrorUntil: now + 160_000,
        deleteAt: now + 200_000,
      })
      clock.tick(10_000)
      await store.invalidate([userTag('a')], 'expire')
      clock.tick(5_000)
      const found = await get('k')
      expect(found).toMatchObject({
        storedAt: now,
        staleAt: now + 10_000,
        whileRevalidateUntil: now + 40_000,
        ifErrorUntil: now + 110_000,
        deleteAt: now + 150_000,
      })
      clock.tick(135_000)
      expect(await get('k')).toMatchObject({ kind: 'vacancy' })
    })

    test('expiring what is stale already changes nothing, and one without windows is gone', async () => {
      const { clock, get, put, store } = await open()
      const now = clock.now()
      await put('k', 'one', {
        staleAt: now + 10,
        whileRevalidateUntil: now + 90,
        deleteAt: now + 90,
        ifErrorUntil: now,
      })
      await put('l', 'two', {})
      clock.tick(20)
      await store.invalidate([everythingTag], 'expire')
      expect(await get('k')).toMatchObject({ staleAt: now + 10, whileRevalidateUntil: now + 90, deleteAt: now + 90 })
      expect(await get('l')).toMatchObject({ kind: 'vacancy' })
    })

    test('purge wins over an expire, in either order', async () => {
      const { clock, put, read, store } = await open()
      for (const order of [
        ['purge', 'expire'],
        ['expire', 'purge'],
      ] as const) {
        await put('k', 'one', { tags: ['a'], deleteAt: clock.now() + 1e6 })
        for (const mode of order) await store.invalidate([userTag('a')], mode)
        expect(await read('k')).toBe('vacancy:key')
      }
    })
  })

  describe(`${name}: adding a form`, () => {
    const gzip: StoredForm = { coding: 'gzip', body: Buffer.from([31, 139, 0, 255]), etag: '"tag;gzip"' }
    const br: StoredForm = { coding: 'br', body: Buffer.alloc(5, 7), etag: undefined }

    async function opened(options?: { readonly maxVariants?: number }) {
      const { store, get, ...rest } = await open(options)
      const forms = async (key: string, select = plain.select) => {
        const found = await get(key, select)
        if (found.kind !== 'record') return found.kind
        return found.forms.map(({ coding, body, etag, best }) => [coding, [...body], etag, best === true])
      }
      const held = async (key: string, select = plain.select) => (await get(key, select)) as CacheRecord
      const add = async (key: string, of: CacheRecord, form: StoredForm, select = plain.select) =>
        store.addForm!(key, select, of, form)
      return { store, get, forms, held, add, ...rest }
    }
    const one = ['identity', [...Buffer.from('one')], '"tag"', false]
    const asListed = ({ coding, body, etag, best }: StoredForm) => [coding, [...body], etag, best === true]

    test('puts it beside the others, bit for bit', async () => {
      const { store, put, forms, held, add } = await opened()
      await put('k', 'one')
      expect(await add('k', await held('k'), gzip)).toBe(true)
      expect(await forms('k')).toEqual([one, asListed(gzip)])
      expect(await add('k', await held('k'), br)).toBe(true)
      expect(await forms('k')).toEqual([one, asListed(gzip), asListed(br)])
      expect((await store.usage()).entries).toBe(1)
    })

    test('one made at the best level takes the place of that of the same coding, and is known as such', async () => {
      const { put, forms, held, add } = await opened()
      await put('k', 'one')
      await add('k', await held('k'), gzip)
      const best = { ...gzip, body: Buffer.from([31]), etag: '"tag;gzip-best"', best: true }
      expect(await add('k', await held('k'), best)).toBe(true)
      expect(await forms('k')).toEqual([one, asListed(best)])
    })

    test('changes nothing else of the record: not its fields, its times, nor its tags', async () => {
      const { clock, store, put, held, add, read } = await opened()
      const now = clock.now()
      const times = { staleAt: now + 50, whileRevalidateUntil: now + 70, ifErrorUntil: now + 80, deleteAt: now + 100 }
      await put('k', 'one', { ...times, tags: ['t'], initialAgeMs: 7 })
      await put('l', 'one', { ...times, tags: ['t'] })
      const before = await held('k')
      clock.tick(30)
      await add('k', await held('k'), gzip)
      await add('l', await held('l'), gzip)
      const { forms: _, ...after } = recordWith(await held('k'), {})
      expect(before).toMatchObject(after)
      await store.invalidate([userTag('t')], 'purge')
      expect(await read('l')).toBe('vacancy:key')
      await put('k', 'one', { ...times, storedAt: now })
      await add('k', await held('k'), gzip)
      clock.tick(69)
      expect(await read('k')).toBe('one')
      clock.tick(1)
      expect(await read('k')).toBe('vacancy:key')
    })

    test('a purge in between wins, and so does a delete', async () => {
      const { store, put, held, add, read } = await opened()
      for (const end of [() => store.invalidate([userTag('t')], 'purge'), () => store.delete('k')]) {
        await put('k', 'one', { tags: ['t'] })
        const record = await held('k')
        await end()
        expect(await add('k', record, gzip)).toBe(false)
        expect(await read('k')).toBe('vacancy:key')
      }
      expect(await add('other', { ...makeRecord(testClock()) }, gzip)).toBe(false)
    })

    test('an expiry in between stays', async () => {
      const { clock, store, put, held, add } = await opened()
      const later = clock.now() + 90_000
      await put('k', 'one', { tags: ['t'], whileRevalidateUntil: later, deleteAt: later })
      const record = await held('k')
      clock.tick(10)
      await store.invalidate([userTag('t')], 'expire')
      await add('k', record, gzip)
      clock.tick(10)
      expect(await held('k')).toMatchObject({ staleAt: record.storedAt + 10, deleteAt: later - 60_000 + 10 })
    })

    test('another response in its place does not get it: with other bytes, or under another tag', async () => {
      const { clock, put, held, add, forms } = await opened()
      await put('k', 'one')
      const record = await held('k')
      const others: StoredForm[] = [
        { coding: 'identity', body: Buffer.from('two'), etag: '"tag"' },
        { coding: 'identity', body: Buffer.from('one'), etag: '"other"' },
      ]
      for (const other of others) {
        await put('k', '', { forms: [other], storedAt: clock.now() })
        expect(await add('k', record, gzip)).toBe(false)
        expect(await forms('k')).toEqual([asListed(other)])
      }
    })

    test('of variants, the one it was made of gets it', async () => {
      const { put, held, add, forms } = await opened()
      const [en, de] = [{ l: 'en' }, { l: 'de' }]
      await put('k', 'hello', {}, variantFor(['l'], en))
      await put('k', 'hallo', {}, variantFor(['l'], de))
      const hello = await held('k', requestWith(en))
      expect(await add('k', hello, gzip, requestWith(de))).toBe(false)
      expect(await add('k', hello, gzip, requestWith({ l: 'fr' }))).toBe(false)
      expect(await add('k', hello, gzip, requestWith(en))).toBe(true)
      expect(await forms('k', requestWith(en))).toHaveLength(2)
      expect(await forms('k', requestWith(de))).toHaveLength(1)
      expect(await forms('k', requestWith({ l: 'fr' }))).toBe('vacancy')
    })
  })
}
