import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeRecord, encodeRecord } from '../../packages/core/src/cache/entry/frame.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { makeRecord, testClock } from './fixtures.ts'

const text = fc.string({ unit: 'binary', maxLength: 20 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
// Times are added to, and −0 plus 0 is 0.
const time = fc.oneof(
  fc.double({ noNaN: true }).map((ms) => ms + 0),
  fc.constant(Number.POSITIVE_INFINITY),
)

const fieldName = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
const fieldValue = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/)

const anyRecord: fc.Arbitrary<CacheRecord> = fc.record({
  kind: fc.constant('record' as const),
  status: fc.integer({ min: 200, max: 599 }),
  fields: fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 4 }).map((pairs) => pairs.flat()),
  forms: fc.array(
    fc.record({
      coding: text,
      body: fc.uint8Array({ maxLength: 200 }),
      etag: maybe(text),
      best: maybe(fc.constant(true)),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  dateMs: time,
  storedAt: time,
  initialAgeMs: time,
  staleAt: time,
  whileRevalidateUntil: time,
  ifErrorUntil: time,
  deleteAt: time,
  mustRevalidate: fc.boolean(),
  fillMs: time,
  shared: fc.boolean(),
  ownTag: fc.boolean(),
  tags: fc.array(text, { maxLength: 3 }),
  target: fc.record({
    scheme: text,
    authority: text,
    path: text,
    query: maybe(text),
    route: maybe(text),
    params: maybe(text),
  }),
})

/** Bodies as plain lists: what class of buffer they are does not matter. */
function plainly(record: CacheRecord | undefined): unknown {
  return record && { ...record, forms: record.forms.map((form) => ({ ...form, body: [...form.body] })) }
}

describe('the frame of a record', () => {
  test('gives back every record, bit for bit', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(plainly(decodeRecord(encodeRecord(record)))).toEqual(plainly(record))
      }),
    )
  })

  test('is the bytes and little more: 66 kB take 66 kB, not 3.36 times as much (Buffers in JSON)', () => {
    const frame = encodeRecord(makeRecord(testClock(), Buffer.alloc(66_000, 7)))
    expect(frame.length - 66_000).toBeLessThan(400)
  })

  test('is read wherever it stands in a buffer, and its bodies are views of it', () => {
    const frame = encodeRecord(makeRecord(testClock(), 'hello'))
    const within = Buffer.alloc(frame.length + 7)
    within.set(frame, 5)
    const read = decodeRecord(new Uint8Array(within.buffer, within.byteOffset + 5, frame.length))!
    expect(Buffer.from(read.forms[0]!.body).toString()).toBe('hello')
    expect(read.forms[0]!.body.buffer).toBe(within.buffer)
  })

  test('cut short anywhere, or with anything behind it, is not read', () => {
    const frame = encodeRecord(makeRecord(testClock(), 'hello', { tags: ['a'] }))
    for (let length = 0; length < frame.length; length++)
      expect(decodeRecord(frame.subarray(0, length))).toBeUndefined()
    expect(decodeRecord(Buffer.concat([frame, Buffer.alloc(1)]))).toBeUndefined()
  })

  test('with any one bit flipped is not read', () => {
    const frame = encodeRecord(makeRecord(testClock(), 'hello', { tags: ['a'] }))
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const damaged = Buffer.from(frame)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeRecord(damaged)).toBeUndefined()
    }
  })

  test('of arbitrary bytes is never read, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeRecord(bytes)).toBeUndefined()
      }),
    )
  })

  /** Everything right but the part in question: the checksum does not stand in for the checks. */
  const forged = (head: unknown, bodies = 'hello', alter: (frame: Buffer) => void = () => {}): Buffer => {
    const model = encodeRecord(makeRecord(testClock()))
    const json = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head))
    const frame = Buffer.concat([model.subarray(0, 84), json, Buffer.from(bodies)])
    frame.writeUInt32BE(frame.length, 12)
    frame.writeUInt32BE(json.length, 16)
    alter(frame)
    frame.writeUInt32BE(checksum(frame), 4)
    return frame
  }
  const target = ['http', 'api.test', '/', null, null, null]
  const form = ['identity', null, 5]

  test.each<[string, Buffer]>([
    ['no JSON', forged('[')],
    ['another shape', forged({ fields: [] })],
    ['null', forged(null)],
    ['a field without a value', forged([['a'], [], target, [form]])],
    ['a field that is no text', forged([['a', 1], [], target, [form]])],
    ['a field name that is none', forged([['a b', 'x'], [], target, [form]])],
    ['a value that begins a second response', forged([['a', 'x\r\n\r\nHTTP/1.1 200'], [], target, [form]])],
    ['a witness of another shape', forged([[], [], target, [form], [null, null, [1], null]])],
    ['a status that is none', forged([[], [], target, [form]], 'hello', (frame) => void frame.writeUInt16BE(99, 10))],
    ['a tag that is no text', forged([[], [{}], target, [form]])],
    ['a short target', forged([[], [], ['http'], [form]])],
    ['a target without a path', forged([[], [], ['http', 'a', null, null, null, null], [form]])],
    ['no forms', forged([[], [], target, []], '')],
    ['forms that are no list', forged([[], [], target, 5])],
    ['a form that is no list', forged([[], [], target, ['identity']])],
    ['a body longer than there is', forged([[], [], target, [['identity', null, 6]]])],
    ['a body of 2^53 bytes', forged([[], [], target, [['identity', null, 2 ** 53]]])],
    [
      'a body of a negative length',
      forged([
        [],
        [],
        target,
        [
          ['identity', null, -1],
          ['br', null, 6],
        ],
      ]),
    ],
    ['a form of an unknown quality', forged([[], [], target, [['identity', null, 5, 1]]])],
    ['a body of half a byte', forged([[], [], target, [['identity', null, 4.5]]])],
    ['bytes that belong to no form', forged([[], [], target, [['identity', null, 4]]])],
    ['a head longer than there is', forged([[], [], target, [form]], 'hello', (f) => f.writeUInt32BE(0xffffffff, 16))],
    ['a time that is no number', forged([[], [], target, [form]], 'hello', (f) => f.writeDoubleBE(Number.NaN, 20))],
    ['another version', forged([[], [], target, [form]], 'hello', (f) => f.writeUInt8(1, 8))],
    ['another magic', forged([[], [], target, [form]], 'hello', (f) => f.writeUInt8(0, 0))],
  ])('with a right checksum and %s is not read', (_what, frame) => {
    expect(decodeRecord(frame)).toBeUndefined()
  })

  test('a form says at what level it was made only where that is the best: other frames are what they always were', () => {
    const best = forged([[], [], target, [[...form, true]]])
    expect(decodeRecord(best)!.forms[0]).toMatchObject({ coding: 'identity', best: true })
    const record = makeRecord(testClock(), 'hello')
    const made = (over: object) => encodeRecord({ ...record, forms: [{ ...record.forms[0]!, ...over }] })
    expect(made({ best: true }).toString('latin1')).toContain('["identity","\\"tag\\"",5,true]')
    expect(made({ best: false })).toEqual(made({}))
    expect(made({}).toString('latin1')).toContain('["identity","\\"tag\\"",5]')
  })

  test('the forgery these are made of is read when nothing is wrong with it', () => {
    expect(decodeRecord(forged([[], [], target, [form]]))).toMatchObject({ kind: 'record', target: { path: '/' } })
  })
})

/** CRC-32, bit by bit: a second opinion on the one the frame uses. */
function checksum(frame: Buffer): number {
  let crc = 0xffffffff
  for (const byte of frame.subarray(8)) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
