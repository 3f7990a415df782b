import { crc32 } from 'node:zlib'
import type { CacheRecord, RecordTarget, StoredForm } from './record.ts'

/**
 * A record as bytes: what the shared store and the snapshot hold. Bodies stand in it as they are; a hit that comes as a
 * frame is sent from views of it, without a copy.
 *
 *     0  magic, 4 bytes      8  crc32 of all the rest   20  eight times, float64
 *     4  version             12  length of all of it    84  the head, JSON in UTF-8
 *     5  flags               16  length of the head         the bodies, one behind the other
 *     6  status, uint16
 *
 * Numbers are big-endian. The head is JSON because it is text, small, and read by machines that profit from a fast
 * parser; its lists have a fixed order, so no name in it is taken from outside.
 */
const magic = 0x534c4352 // SLCR
const version = 1
const checksumAt = 8
const headAt = 84

const flag = { shared: 1, mustRevalidate: 2, ownTag: 4 } as const

const times = [
  'dateMs',
  'storedAt',
  'initialAgeMs',
  'staleAt',
  'whileRevalidateUntil',
  'ifErrorUntil',
  'deleteAt',
  'fillMs',
] as const satisfies readonly (keyof CacheRecord)[]

/** The binary frame of a record. Its times are written as they are: of which clock they are is the caller's matter. */
export function encodeRecord(record: CacheRecord): Buffer {
  const { target, forms } = record
  const head = Buffer.from(
    JSON.stringify([
      record.fields,
      record.tags,
      [target.scheme, target.authority, target.path, target.query, target.route, target.params],
      forms.map((form) => [form.coding, form.etag, form.body.byteLength]),
    ]),
  )
  const length = forms.reduce((sum, form) => sum + form.body.byteLength, headAt + head.length)
  const frame = Buffer.allocUnsafe(length)
  frame.writeUInt32BE(magic, 0)
  frame.writeUInt8(version, 4)
  frame.writeUInt8(flagsOf(record), 5)
  frame.writeUInt16BE(record.status, 6)
  frame.writeUInt32BE(length, 12)
  frame.writeUInt32BE(head.length, 16)
  for (const [i, name] of times.entries()) frame.writeDoubleBE(record[name], 20 + 8 * i)
  frame.set(head, headAt)
  let at = headAt + head.length
  for (const { body } of forms) {
    frame.set(body, at)
    at += body.byteLength
  }
  frame.writeUInt32BE(checksum(frame), checksumAt)
  return frame
}

/**
 * Reads a frame; `undefined` for bytes that are not one, are damaged, or are of another version. Never throws, and
 * allocates nothing by a length it was told. The bodies are views of `bytes`.
 */
export function decodeRecord(bytes: Uint8Array): CacheRecord | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (frame.length < headAt || frame.readUInt32BE(0) !== magic || frame.readUInt8(4) !== version) return undefined
  const bodiesAt = headAt + frame.readUInt32BE(16)
  if (frame.readUInt32BE(12) !== frame.length || bodiesAt > frame.length) return undefined
  if (frame.readUInt32BE(checksumAt) !== checksum(frame)) return undefined

  const head = parseHead(frame.toString('utf8', headAt, bodiesAt))
  const forms = head && readForms(head.forms, frame.subarray(bodiesAt))
  if (forms === undefined) return undefined
  const read = Object.fromEntries(times.map((name, i) => [name, frame.readDoubleBE(20 + 8 * i)]))
  if (Object.values(read).some(Number.isNaN)) return undefined
  const flags = frame.readUInt8(5)
  return {
    kind: 'record',
    status: frame.readUInt16BE(6),
    fields: head!.fields,
    forms,
    ...(read as Record<(typeof times)[number], number>),
    shared: (flags & flag.shared) !== 0,
    mustRevalidate: (flags & flag.mustRevalidate) !== 0,
    ownTag: (flags & flag.ownTag) !== 0,
    tags: head!.tags,
    target: head!.target,
  }
}

function flagsOf(record: CacheRecord): number {
  const { shared, mustRevalidate, ownTag } = record
  return (shared ? flag.shared : 0) | (mustRevalidate ? flag.mustRevalidate : 0) | (ownTag ? flag.ownTag : 0)
}

/** Against damage, not against forgery: whoever can write to the store can serve what they like. */
function checksum(frame: Buffer): number {
  return crc32(frame.subarray(checksumAt + 4), crc32(frame.subarray(0, checksumAt)))
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
    const [coding, etag, length] = entry as unknown[]
    if (typeof coding !== 'string' || !isTextOrNull(etag) || !Number.isSafeInteger(length)) return undefined
    const end = at + (length as number)
    if (end < at || end > bodies.byteLength) return undefined
    forms.push({ coding, body: bodies.subarray(at, end), etag: etag ?? undefined })
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
