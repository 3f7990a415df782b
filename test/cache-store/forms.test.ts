import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import type { MaybePromise } from '../../packages/core/src/base/maybe-promise.ts'
import { isPromise } from '../../packages/core/src/base/maybe-promise.ts'
import type { CacheRecord, StoredForm } from '../../packages/core/src/cache/entry/record.ts'
import { Forms } from '../../packages/core/src/cache/forms/forms.ts'
import { LocalForms } from '../../packages/core/src/cache/forms/local-forms.ts'
import type { CacheStore } from '../../packages/core/src/cache/store/store.ts'
import { until } from '../support/redis-server.ts'
import { clientOf, codingsOf, countingRecipe, selected } from './encoders.ts'
import { makeRecord, testClock } from './fixtures.ts'

const clock = { ...testClock(), after: () => () => {} }
const body = 'x'.repeat(2_000)

/** Forms over a store that gives out a new object each time, as one does that reads it from a connection. */
function over(addForm: CacheStore['addForm'] | undefined, hotAfter?: number) {
  const recipe = countingRecipe(hotAfter)
  const store = { addForm } as CacheStore
  const forms = new Forms({
    store,
    clock,
    ask: (_what, fn) => {
      const result = fn()
      return isPromise(result) ? (result.then(undefined, () => undefined) as never) : result
    },
  })
  const read = (bytes = body, encoded: readonly StoredForm[] = []): CacheRecord => {
    const record = makeRecord(clock, bytes)
    return { ...record, forms: [...record.forms, ...encoded] }
  }
  const hit = (coding: string, record = read()): MaybePromise<CacheRecord> =>
    forms.forHit(selected(clientOf(coding, recipe)), record)
  return { recipe, forms, read, hit }
}

/** A promise in other hands. */
function pending<T>() {
  let settle: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  const settled = async (value: T) => {
    settle(value)
    await new Promise((done) => setImmediate(done))
  }
  return { promise, settle: settled }
}

describe('a store that several processes share is given a form', () => {
  test('and no hit waits until it has taken it, nor makes it again meanwhile', async () => {
    const given: StoredForm[] = []
    const taken = pending<boolean>()
    const { hit, recipe } = over((_key, _select, _of, form) => {
      given.push(form)
      return taken.promise
    })
    for (let i = 0; i < 5; i++) {
      const held = hit('gzip')
      expect(isPromise(held)).toBe(false)
      expect(codingsOf(held as CacheRecord)).toEqual(['identity', 'gzip'])
    }
    expect(recipe.encoded).toEqual(['gzip'])
    expect(given).toHaveLength(1)
    await taken.settle(true)
  })

  test('and once it has it, what it says counts', async () => {
    const taken = pending<boolean>()
    const { hit, recipe, read } = over(() => taken.promise)
    await hit('gzip')
    await taken.settle(true)
    const theirs: StoredForm = { coding: 'gzip', body: Buffer.from('theirs'), etag: '"tag;gzip"' }
    const record = read(body, [theirs])
    expect(await hit('gzip', record)).toBe(record)
    // Evicted and stored again without it: it is made again, and not what is left in this process.
    await hit('gzip')
    expect(recipe.encoded).toEqual(['gzip', 'gzip'])
  })

  test.each([
    ['refuses it', () => Promise.resolve(false)],
    ['is out', () => Promise.reject(new Error('out'))],
    ['takes none', undefined],
  ])('where it %s, this process keeps it, beside the same bytes and no others', async (_what, addForm) => {
    const { hit, recipe, read } = over(addForm)
    for (let i = 0; i < 4; i++) {
      expect(codingsOf(await hit('gzip'))).toEqual(['identity', 'gzip'])
      await new Promise((done) => setImmediate(done))
    }
    expect(recipe.encoded).toEqual(['gzip'])
    const other = await hit('gzip', read('y'.repeat(2_000)))
    expect(Buffer.from(other.forms[1]!.body).toString()).toBe('gzip:y')
    expect(recipe.encoded).toEqual(['gzip', 'gzip'])
  })

  test('what is kept here gives way to what is as good in the store, and not to what is worse', async () => {
    const { hit, read } = over(() => Promise.resolve(false), 2)
    const fast: StoredForm = { coding: 'gzip', body: Buffer.from('theirs, and longer'), etag: '"tag;gzip"' }
    const best: StoredForm = { ...fast, body: Buffer.from('theirs'), best: true }
    await hit('gzip')
    const theirs = read(body, [fast])
    expect(await hit('gzip', theirs)).toBe(theirs)
    await hit('gzip', read(body, [fast]))
    // Hot: it was made at the best level, and refused.
    await until(async () => (await hit('gzip', read(body, [fast]))).forms[1]!.best === true)
    const bests = read(body, [best])
    expect(await hit('gzip', bests)).toBe(bests)
  })
})

describe('the memory of this process', () => {
  test('has a form at once, and gets no second place beside it for what it refuses', () => {
    const { hit, recipe } = over(() => false)
    for (let i = 0; i < 2; i++) expect(isPromise(hit('gzip'))).toBe(false)
    expect(recipe.encoded).toEqual(['gzip', 'gzip'])
  })
})

describe('forms that take a while', () => {
  test('are made once for all that ask meanwhile, though each read the bytes for itself', async () => {
    const { hit, recipe } = over(() => Promise.resolve(true))
    recipe.slowly = true
    const held = await Promise.all([hit('gzip'), hit('gzip'), hit('br'), hit('gzip')])
    expect(held.map(codingsOf).map((codings) => codings[1])).toEqual(['gzip', 'gzip', 'br', 'gzip'])
    expect(recipe.encoded.toSorted()).toEqual(['br', 'gzip'])
  })

  test('and not of one response for another', async () => {
    const { hit, recipe, read } = over(() => Promise.resolve(true))
    recipe.slowly = true
    const held = await Promise.all([hit('gzip', read('a'.repeat(99))), hit('gzip', read('b'.repeat(99)))])
    expect(held.map(({ forms }) => Buffer.from(forms[1]!.body).toString())).toEqual(['gzip:a', 'gzip:b'])
  })
})

describe('what is sent often', () => {
  const gzip: StoredForm = { coding: 'gzip', body: Buffer.from('a fast form of it'), etag: '"tag;gzip"' }

  test('is made once more at the best level, though each look-up tells another moment at which it was stored', async () => {
    const given: StoredForm[] = []
    const { hit, recipe, read } = over((_key, _select, _of, form) => {
      given.push(form)
      return Promise.resolve(true)
    }, 3)
    for (let i = 0; i < 10; i++) {
      const record = read(body, [gzip])
      await hit('gzip', { ...record, storedAt: record.storedAt + i / 7 })
    }
    await until(() => given.length > 0)
    expect(recipe.improved).toEqual(['gzip'])
    expect(given).toMatchObject([{ coding: 'gzip', best: true, etag: '"tag;gzip-best"' }])
  })

  test('and is counted anew once it was stored anew', async () => {
    const { hit, recipe, read } = over(() => Promise.resolve(true), 3)
    for (let i = 0; i < 10; i++) {
      await hit('gzip', { ...read(body, [gzip]), dateMs: 1_000 * (i >> 1) })
      await new Promise((done) => setImmediate(done))
    }
    expect(recipe.improved).toEqual([])
  })

  test('but not where another process has done so', async () => {
    const { hit, recipe, read } = over(() => Promise.resolve(true), 3)
    for (let i = 0; i < 10; i++) {
      await hit('gzip', read(body, [{ ...gzip, best: true }]))
      await new Promise((done) => setImmediate(done))
    }
    expect(recipe.improved).toEqual([])
  })
})

describe('what a process keeps beside the store', () => {
  const gzip: StoredForm = { coding: 'gzip', body: Buffer.from('made'), etag: undefined }

  test('lets go of the larger buffers it was cut from', async () => {
    const local = new LocalForms()
    const keep = (): WeakRef<ArrayBufferLike>[] => {
      const [read, written] = [Buffer.allocUnsafeSlow(65_536).fill('x'), Buffer.allocUnsafeSlow(16_384).fill('y')]
      const identity = { coding: 'identity', body: read.subarray(100, 200), etag: undefined }
      local.add('k', { ...makeRecord(clock), forms: [identity] }, { ...gzip, body: written.subarray(0, 9) })
      return [new WeakRef(read.buffer), new WeakRef(written.buffer)]
    }
    const buffers = keep()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await until(() => {
      collect()
      return buffers.every((buffer) => buffer.deref() === undefined)
    })
    const record = makeRecord(clock, 'x'.repeat(100), {})
    const held = local.complete('k', { ...record, forms: [{ ...record.forms[0]!, etag: undefined }] })
    expect(Buffer.from(held.forms[1]!.body).toString()).toBe('y'.repeat(9))
  })

  test('ends with what the store has; a better one stays', () => {
    const local = new LocalForms()
    const record = makeRecord(clock)
    local.add('k', record, gzip)
    local.add('k', record, { ...gzip, coding: 'br', best: true })
    for (const coding of ['gzip', 'br', 'zstd']) local.drop('k', { ...gzip, coding })
    local.drop('other', gzip)
    expect(codingsOf(local.complete('k', record))).toEqual(['identity', 'br'])
    local.drop('k', { ...gzip, coding: 'br', best: true })
    expect(local.complete('k', record)).toBe(record)
  })

  test('is bounded: 8 MB and no more', () => {
    const local = new LocalForms()
    const record = makeRecord(clock)
    const places = Array.from({ length: 100 }, (_, i) => `k${i}`)
    for (const place of places) local.add(place, record, { ...gzip, body: Buffer.alloc(200_000) })
    const kept = places.filter((place) => local.complete(place, record) !== record)
    expect(kept).toEqual(places.slice(-kept.length))
    expect(kept.length).toBeGreaterThan(30)
    expect(kept.length * 200_000).toBeLessThan(8 * 2 ** 20)
  })
})

test('what does not shrink is tried once for each coding, in whichever objects it comes, and again when it was made anew', async () => {
  const { hit, recipe, read } = over(() => true)
  recipe.futile = true
  for (let i = 0; i < 3; i++) {
    for (const coding of ['gzip', 'br']) expect(codingsOf(await hit(coding))).toEqual(['identity'])
  }
  expect(recipe.encoded).toEqual(['gzip', 'br'])
  recipe.futile = false
  expect(codingsOf(await hit('gzip', { ...read(), dateMs: clock.now() + 1_000 }))).toEqual(['identity', 'gzip'])
})
