import { crc32 } from 'node:zlib'
import { isToken } from '../../http/fields/lists.ts'
import type { CacheRecord, DownstreamPromise, RecordTarget, StoredForm, Witness } from './record.ts'

/**
 * A record as bytes: what the shared store and the snapshot hold. Bodies stand in it as they are; a hit that comes as a
 * frame is sent from views of it, without a copy.
 *
 *     0  magic, 4 bytes            8  version            20  eight times, float64
 *     4  crc32 of what follows     9  flags              84  the head, JSON in UTF-8
 *                                 10  status, uint16         the bodies, one behind the other
 *                                 12  length of all of it
 *                                 16  length of the head
 *
 * Numbers are big-endian. The head is JSON because it is text, small, and read by machines that profit from a fast
 * parser; its lists have a fixed order, so no name in it is taken from outside.
 */
const magic = 0x534c4352 // SLCR
const version = 2
const checkedFrom = 8
const headAt = 84

const flag = { shared: 1, mustRevalidate: 2, ownTag: 4 } as const

/**
 * The binary frame of a record. Its times are written as they are: of which clock they are is the caller's matter.
 *
 * @param room - how many bytes are left in front of it for the caller to fill. Default 0.
 */
export function encodeRecord(record: CacheRecord, room = 0): Buffer {
  const { target, forms } = record
  const head = Buffer.from(
    JSON.stringify([
      record.fields,
      record.tags,
      [target.scheme, target.authority, target.path, target.query, target.route, target.params],
      // What is at the end and absent is read as absent: frames without it stay what they are.
      forms.map(({ coding, etag, body, best }) => [coding, etag, body.byteLength, ...(best ? [true] : [])]),
      ...extrasOf(record),
    ]),
  )
  const length = forms.reduce((sum, form) => sum + form.body.byteLength, headAt + head.length)
  const whole = Buffer.allocUnsafe(room + length)
  const frame = whole.subarray(room)
  frame.writeUInt32BE(magic, 0)
  frame.writeUInt8(version, 8)
  frame.writeUInt8(flagsOf(record), 9)
  frame.writeUInt16BE(record.status, 10)
  frame.writeUInt32BE(length, 12)
  frame.writeUInt32BE(head.length, 16)
  timesOf(record).forEach((time, i) => {
    frame.writeDoubleBE(time, 20 + 8 * i)
  })
  frame.set(head, headAt)
  let at = headAt + head.length
  for (const { body } of forms) {
    frame.set(body, at)
    at += body.byteLength
  }
  frame.writeUInt32BE(checksum(frame), 4)
  return whole
}

/**
 * Reads a frame; `undefined` for bytes that are not one, are damaged, or are of another version. Never throws, and
 * allocates nothing by a length it was told. The bodies are views of `bytes`.
 */
export function decodeRecord(bytes: Uint8Array): CacheRecord | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const head = readHead(frame)
  return head && recordFrom(head, frame)
}

/** What a frame says beside its bodies, checked as a whole: whoever meets the same bytes again need not check again. */
export interface FrameHead {
  /** Of the whole frame, and of what of it is kept here. Bytes. */
  readonly frameBytes: number
  readonly headBytes: number
  readonly record: Omit<CacheRecord, 'forms'>
  readonly forms: readonly FormHead[]
}

/** A form, and where in the frame its body is. */
interface FormHead extends Omit<StoredForm, 'body'> {
  readonly start: number
  readonly end: number
}

/** @param from - where in `bytes` the frame begins; it ends where they end. Default 0. */
export function readHead(bytes: Uint8Array, from = 0): FrameHead | undefined {
  if (bytes.byteLength < from) return undefined
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from)
  if (frame.length < headAt || frame.readUInt32BE(0) !== magic || frame.readUInt8(8) !== version) return undefined
  const bodiesAt = headAt + frame.readUInt32BE(16)
  if (frame.readUInt32BE(12) !== frame.length || bodiesAt > frame.length) return undefined
  if (frame.readUInt32BE(4) !== checksum(frame)) return undefined

  const head = parseHead(frame.toString('utf8', headAt, bodiesAt))
  const forms = head && readForms(head.forms, bodiesAt, frame.length)
  if (forms === undefined) return undefined
  const flags = frame.readUInt8(9)
  const record: FrameHead['record'] = {
    kind: 'record',
    status: frame.readUInt16BE(10),
    fields: head!.fields,
    dateMs: frame.readDoubleBE(20),
    storedAt: frame.readDoubleBE(28),
    initialAgeMs: frame.readDoubleBE(36),
    staleAt: frame.readDoubleBE(44),
    whileRevalidateUntil: frame.readDoubleBE(52),
    ifErrorUntil: frame.readDoubleBE(60),
    deleteAt: frame.readDoubleBE(68),
    fillMs: frame.readDoubleBE(76),
    shared: (flags & flag.shared) !== 0,
    mustRevalidate: (flags & flag.mustRevalidate) !== 0,
    ownTag: (flags & flag.ownTag) !== 0,
    tags: head!.tags,
    target: head!.target,
    ...head!.extras,
  }
  if (timesOf(record).some(Number.isNaN) || !isStatusOf(record.target, record.status)) return undefined
  return { frameBytes: frame.length, headBytes: bodiesAt, record, forms }
}

/**
 * The record of a frame whose head was read before. Its bodies are views of `bytes`.
 *
 * @param from - where in `bytes` the frame begins. Default 0.
 * @param shiftMs - what to add to its times, as `shiftRecord` does. Default 0.
 */
export function recordFrom({ record, forms }: FrameHead, bytes: Uint8Array, from = 0, shiftMs = 0): CacheRecord {
  // Written out, which is faster by far than to spread it: this is a good part of what a hit in Redis costs here.
  return {
    kind: 'record',
    status: record.status,
    fields: record.fields,
    forms: forms.map((form) => formFrom(form, bytes, from)),
    dateMs: record.dateMs,
    storedAt: record.storedAt + shiftMs,
    initialAgeMs: record.initialAgeMs,
    staleAt: record.staleAt + shiftMs,
    whileRevalidateUntil: record.whileRevalidateUntil + shiftMs,
    ifErrorUntil: record.ifErrorUntil + shiftMs,
    deleteAt: record.deleteAt + shiftMs,
    mustRevalidate: record.mustRevalidate,
    fillMs: record.fillMs,
    shared: record.shared,
    ownTag: record.ownTag,
    tags: record.tags,
    target: record.target,
    reason: record.reason,
    without: record.without,
    witness: record.witness,
    promise: record.promise,
  }
}

function formFrom({ coding, etag, best, start, end }: FormHead, bytes: Uint8Array, from: number): StoredForm {
  const body = bytes.subarray(from + start, from + end)
  return best ? { coding, body, etag, best } : { coding, body, etag }
}

/** In the order of the frame. */
function timesOf(record: Omit<CacheRecord, 'forms'>): readonly number[] {
  const { dateMs, storedAt, initialAgeMs, staleAt, whileRevalidateUntil, ifErrorUntil, deleteAt, fillMs } = record
  return [dateMs, storedAt, initialAgeMs, staleAt, whileRevalidateUntil, ifErrorUntil, deleteAt, fillMs]
}

function flagsOf(record: CacheRecord): number {
  const { shared, mustRevalidate, ownTag } = record
  return (shared ? flag.shared : 0) | (mustRevalidate ? flag.mustRevalidate : 0) | (ownTag ? flag.ownTag : 0)
}

/** Against damage, not against forgery: whoever can write to the store can serve what they like. */
function checksum(frame: Buffer): number {
  return crc32(frame.subarray(checkedFrom))
}

/** What few records have; at the end of the head, and nothing where there is none of it. */
type Extras = Pick<CacheRecord, 'reason' | 'without' | 'witness' | 'promise'>

function extrasOf({ reason, without, witness, promise }: CacheRecord): unknown[] {
  if (reason === undefined && !without && witness === undefined && promise === undefined) return []
  const told = witness ? [witness.of, witness.visitor, witness.marks, witness.state] : null
  const promised = promise ? [promise.scope, promise.clientMs, promise.cdnMs, promise.noTransform] : null
  return [[reason ?? null, without ?? null, told, promised]]
}

/** `undefined` for what nobody has written. */
function readExtras(listed: unknown): Extras | undefined {
  if (listed === undefined) return {}
  if (!Array.isArray(listed) || listed.length !== 4) return undefined
  const [reason, without, witness, promise] = listed as unknown[]
  if (!isTextOrNull(reason) || !(without === null || isTexts(without))) return undefined
  if (!(witness === null || isWitness(witness)) || !(promise === null || isPromiseList(promise))) return undefined
  return {
    reason: reason ?? undefined,
    without: without ?? undefined,
    witness: witness ? { of: witness[0], visitor: witness[1], marks: witness[2], state: witness[3] } : undefined,
    promise: promise
      ? { scope: promise[0], clientMs: promise[1], cdnMs: promise[2] ?? undefined, noTransform: promise[3] }
      : undefined,
  }
}

function isWitness(list: unknown): list is [string[], string, string[], Witness['state']] {
  if (!Array.isArray(list) || list.length !== 4) return false
  const [of, visitor, marks, state] = list as unknown[]
  return isTexts(of) && typeof visitor === 'string' && isTexts(marks) && (state === 'first' || state === 'contradicted')
}

function isPromiseList(list: unknown): list is [DownstreamPromise['scope'], number, number | null, boolean] {
  if (!Array.isArray(list) || list.length !== 4) return false
  const [scope, clientMs, cdnMs, noTransform] = list as unknown[]
  const isScope = scope === 'public' || scope === 'private'
  return isScope && isMs(clientMs) && (cdnMs === null || isMs(cdnMs)) && typeof noTransform === 'boolean'
}

const isMs = (value: unknown): value is number => typeof value === 'number' && value >= 0

interface Head {
  readonly fields: readonly string[]
  readonly tags: readonly string[]
  readonly target: RecordTarget
  readonly forms: readonly unknown[]
  readonly extras: Extras
}

function parseHead(text: string): Head | undefined {
  const head = parseJson(text)
  if (!Array.isArray(head)) return undefined
  const [fields, tags, target, forms, listed] = head as unknown[]
  const extras = readExtras(listed)
  if (!extras) return undefined
  if (!isTexts(fields) || !areFields(fields) || !isTexts(tags) || !Array.isArray(forms)) return undefined
  if (!Array.isArray(target) || target.length !== 6 || !target.every(isTextOrNull)) return undefined
  const [scheme, authority, path, query, route, params] = target
  if (scheme === null || authority === null || path === null) return undefined
  return {
    fields,
    tags,
    target: {
      scheme: scheme!,
      authority: authority!,
      path: path!,
      query: query ?? undefined,
      route: route ?? undefined,
      params: params ?? undefined,
    },
    forms,
    extras,
  }
}

/** Of what has a URL it is one that can be sent; memos have none, and their own use for it. */
function isStatusOf({ scheme }: RecordTarget, status: number): boolean {
  return (scheme !== 'http' && scheme !== 'https') || (status >= 200 && status <= 599)
}

/** Names and values that can be sent (RFC 9110 §5.1, §5.5): what is forged must not become a second response. */
function areFields(flat: readonly string[]): boolean {
  if (flat.length % 2 !== 0) return false
  return flat.every((text, i) => (i % 2 === 0 ? isToken(text) : !unsendable.test(text)))
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unsendable = /[\0-\x08\x0a-\x1f\x7f\u0100-\uffff]/

function readForms(listed: readonly unknown[], bodiesAt: number, length: number): FormHead[] | undefined {
  const forms: FormHead[] = []
  let start = bodiesAt
  for (const entry of listed) {
    if (!Array.isArray(entry)) return undefined
    const [coding, etag, bytes, best] = entry as unknown[]
    if (typeof coding !== 'string' || !isTextOrNull(etag) || !Number.isSafeInteger(bytes)) return undefined
    if (best !== undefined && best !== true) return undefined
    const end = start + (bytes as number)
    if (end < start || end > length) return undefined
    forms.push({ coding, etag: etag ?? undefined, best, start, end })
    start = end
  }
  return forms.length > 0 && start === length ? forms : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
