import { describe, expect, test } from '@jest/globals'
import { ownText } from '../../packages/core/src/cache/entry/compact.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { Compactor } from '../../packages/core/src/cache/store/compact.ts'
import { makeRecord, testClock } from './fixtures.ts'

const recordOf = (body: string | Uint8Array = 'body', over: Partial<CacheRecord> = {}): CacheRecord =>
  makeRecord(testClock(), 'body', {
    forms: [{ coding: 'identity', body: typeof body === 'string' ? Buffer.from(body) : body, etag: '"tag"' }],
    ...over,
  })

describe('what a record is made of before it is kept', () => {
  test('lists of fields that are equal are held once', () => {
    const compactor = new Compactor()
    const one = compactor.record(recordOf('body', { fields: ['Content-Type', 'text/plain'] }), 'k')
    const other = compactor.record(recordOf('body', { fields: ['Content-Type', 'text/plain'] }), 'k')
    const third = compactor.record(recordOf('body', { fields: ['Content-Type', 'text/html'] }), 'k')
    expect(other.fields).toBe(one.fields)
    expect(third.fields).toEqual(['Content-Type', 'text/html'])
  })

  test('lists that only look alike when joined are told apart', () => {
    const compactor = new Compactor()
    const one = compactor.record(recordOf('body', { fields: ['A', 'b","C'] }), 'k')
    const other = compactor.record(recordOf('body', { fields: ['A', 'b', 'C'] }), 'k')
    expect(one.fields).toEqual(['A', 'b","C'])
    expect(other.fields).toEqual(['A', 'b', 'C'])
  })

  test('a body lets go of the buffer it was cut from, and one of its own is kept as it is', () => {
    const compactor = new Compactor()
    const large = Buffer.allocUnsafeSlow(10_000).fill('x')
    const cut = compactor.record(recordOf(large.subarray(0, 10)), 'k').forms[0]!.body
    expect(cut).toEqual(large.subarray(0, 10))
    expect(cut.buffer.byteLength).toBe(10)
    expect(compactor.record(recordOf(large), 'k').forms[0]!.body).toBe(large)
  })

  test.each(['', 'a', 'ab', 'é', '漢字', '\ud83d\ude00', 'a\0b'])('a text of its own is the same text: %j', (text) => {
    expect(ownText(text)).toBe(text)
  })
})
