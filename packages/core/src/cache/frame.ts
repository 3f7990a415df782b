import { crc32 } from 'node:zlib'
import type { CacheRecord, RecordTarget, StoredForm } from './record.ts'

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

/** The binary frame of a record. Its times are written as they are: of which clock they are is the caller's matter. */
export function encodeRecord(record: CacheRecord): Buffer {
  const { target, forms } = record
  const head = Buffer.from(
    JSON.stringify([
      record.fields,
      record.tags,
      [target.scheme, target.authority, target.path, target.query, target.route, target.params],
      // What is at the end and absent is read as absent: frames without it stay what they are.
      forms.map(({ coding, etag, body, best }) => [coding, etag, body.byteLength, ...(best ? [true] : [])]),
    ]),
  )
  const length = forms.reduce((sum, form) => sum + form.body.byteLength, headAt + head.length)
  const frame = Buffer.allocUnsafe(length)
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
  return frame
}

/**
 * Reads a frame; `undefined` for bytes that are not one, are damaged, or are of another version. Never throws, and
 * allocates nothing by a length it was told. The bodies are views of `bytes`.
 *
 * @param shiftMs - what to add to its times, as `shiftRecord` does. Default 0.
 * @param from - where in `bytes` it begins. Default 0.
 */
export function decodeRecord(bytes: Uint8Array, shiftMs = 0, from = 0): CacheRecord | undefined {
  if (bytes.byteLength < from) return undefined
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from)
  if (frame.length < headAt || frame.readUInt32BE(0) !== magic || frame.readUInt8(8) !== version) return undefined
  const bodiesAt = headAt + frame.readUInt32BE(16)
  if (frame.readUInt32BE(12) !== frame.length || bodiesAt > frame.length) return undefined
  if (frame.readUInt32BE(4) !== checksum(frame)) return undefined

  const head = parseHead(frame.toString('utf8', headAt, bodiesAt))
  const forms = head && readForms(head.forms, frame.subarray(bodiesAt))
  if (forms === undefined) return undefined
  const flags = frame.readUInt8(9)
  const record: CacheRecord = {
    kind: 'record',
    status: frame.readUInt16BE(10),
    fields: head!.fields,
    forms,
    dateMs: frame.readDoubleBE(20),
    storedAt: frame.readDoubleBE(28) + shiftMs,
    initialAgeMs: frame.readDoubleBE(36),
    staleAt: frame.readDoubleBE(44) + shiftMs,
    whileRevalidateUntil: frame.readDoubleBE(52) + shiftMs,
    ifErrorUntil: frame.readDoubleBE(60) + shiftMs,
    deleteAt: frame.readDoubleBE(68) + shiftMs,
    fillMs: frame.readDoubleBE(76),
    shared: (flags & flag.shared) !== 0,
    mustRevalidate: (flags & flag.mustRevalidate) !== 0,
    ownTag: (flags & flag.ownTag) !== 0,
    tags: head!.tags,
    target: head!.target,
  }
  return timesOf(record).some(Number.isNaN) ? undefined : record
}

/** In the order of the frame. */
function timesOf(record: CacheRecord): readonly number[] {
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

interface Head {
  readonly fields: readonly string[]
  readonly tags: readonly string[]
  readonly target: RecordTarget
  readonly forms: readonly unknown[]
}

function parseHead(text: string): Head | undefined {
  const head = parseJson(text)
  if (!Array.isArray(head)) return undefined
  const [fields, tags, target, forms] = head as unknown[]
  if (!isTexts(fields) || fields.length % 2 !== 0 || !isTexts(tags) || !Array.isArray(forms)) return undefined
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
  }
}

function readForms(listed: readonly unknown[], bodies: Uint8Array): StoredForm[] | undefined {
  const forms: StoredForm[] = []
  let at = 0
  for (const entry of listed) {
    if (!Array.isArray(entry)) return undefined
    const [coding, etag, length, best] = entry as unknown[]
    if (typeof coding !== 'string' || !isTextOrNull(etag) || !Number.isSafeInteger(length)) return undefined
    if (best !== undefined && best !== true) return undefined
    const end = at + (length as number)
    if (end < at || end > bodies.byteLength) return undefined
    const form: StoredForm = { coding, body: bodies.subarray(at, end), etag: etag ?? undefined }
    forms.push(best ? { ...form, best } : form)
    at = end
  }
  return forms.length > 0 && at === bodies.byteLength ? forms : undefined
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
