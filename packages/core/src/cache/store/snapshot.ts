import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { decodeRecord, encodeRecord } from '../entry/frame.ts'
import { shiftRecord } from '../entry/record-times.ts'
import type { HeldPlace, MemoryCacheStore } from './memory-store.ts'

/**
 * The warm start: what a store holds, in a file, from the end of one run to the beginning of the next.
 *
 *     0  magic, 8 bytes                              then, per record, what is to be kept longest first:
 *     8  version, uint32                                length of its place and of its frame, uint32 each
 *     12  when it was saved (calendar), float64          its place: [key, fields, codings, secondary key], JSON
 *                                                       its frame
 *     the last eight bytes: how many records there are, and the crc32 of all that stands before it
 *
 * Reading and writing are synchronous: it is done before the first request and after the last.
 */
const magic = Buffer.from('SLUICESN', 'latin1')
const version = 1
const headerBytes = 20
const trailerBytes = 8

/**
 * Writes what the store would give out now to `path`, readable by its owner only. The file appears whole or not at all.
 *
 * @throws SluiceError `ERR_SLUICE_SNAPSHOT` where it cannot be written, or where something else stands at `path`
 */
export function saveSnapshot(path: string, store: MemoryCacheStore, clock: Clock): { readonly saved: number } {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    mkdirSync(dirname(path), { recursive: true })
    if (isForeign(path)) throw new Error('the file that is there is not a snapshot, and is left alone')
    const file = openSync(temporary, 'wx', 0o600)
    let saved: number
    try {
      saved = writeAll(file, store, clock)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    return { saved }
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw failure(path, 'could not be saved', cause, 'The next start is a cold one.')
  }
}

/**
 * Puts the records of a snapshot into the store, without those whose time is up. The file is used up by it: if this run
 * ended without saving, the next one would bring back what was purged meanwhile.
 *
 * A file that is not there is normal. Where the calendar was set back since it was saved, nobody can tell how old the
 * records are, and none is loaded.
 *
 * @throws SluiceError `ERR_SLUICE_SNAPSHOT` where the file is damaged, foreign, of another version, or cannot be read or
 *   removed. Nothing is loaded then.
 */
export function loadSnapshot(
  path: string,
  store: MemoryCacheStore,
  clock: Clock,
): { readonly loaded: number; readonly dropped: number } {
  const content = readSnapshot(path)
  if (content === undefined) return { loaded: 0, dropped: 0 }
  if (content.savedAt > clock.wall()) return { loaded: 0, dropped: content.held.length }
  const shiftMs = clock.now() - clock.wall()
  const { evictions } = store.usage()
  let loaded = 0
  for (const { key, variant, record } of content.held) {
    const moved = shiftRecord(record, shiftMs)
    if (moved.storedAt > clock.now()) continue
    const { spec, secondary } = variant ?? { spec: { fields: [], codings: [] }, secondary: '' }
    if (store.set(key, { spec, select: () => secondary }, moved, store.position(key)) === 'stored') loaded++
    // It is full, and what is still to come was asked for less often than what has to go for it.
    const evicted = store.usage().evictions - evictions
    if (evicted > 0) {
      loaded -= evicted
      break
    }
  }
  return { loaded, dropped: content.held.length - loaded }
}

interface Content {
  readonly savedAt: number
  readonly held: readonly HeldPlace[]
}

function writeAll(file: number, store: MemoryCacheStore, clock: Clock): number {
  let sum = 0
  const write = (bytes: Uint8Array): void => {
    sum = crc32(bytes, sum)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
  }
  const header = Buffer.alloc(headerBytes)
  header.set(magic)
  header.writeUInt32BE(version, 8)
  header.writeDoubleBE(clock.wall(), 12)
  write(header)
  const shiftMs = clock.wall() - clock.now()
  let count = 0
  for (const { key, variant, record } of store.records()) {
    const { spec, secondary } = variant ?? { spec: { fields: [], codings: [] }, secondary: '' }
    const place = Buffer.from(JSON.stringify([key, spec.fields, spec.codings, secondary]))
    const frame = encodeRecord(shiftRecord(record, shiftMs))
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32BE(place.length, 0)
    lengths.writeUInt32BE(frame.length, 4)
    write(Buffer.concat([lengths, place, frame]))
    count++
  }
  const last = Buffer.alloc(4)
  last.writeUInt32BE(count)
  write(last)
  last.writeUInt32BE(sum)
  write(last)
  return count
}

function readSnapshot(path: string): Content | undefined {
  try {
    // Looked at before it is read: a foreign file may be of any size.
    const head = readHead(path)
    if (head === undefined) return undefined
    if (!magic.equals(head.subarray(0, magic.length))) throw new Error('it is not a snapshot')
    const found = head.length < headerBytes ? -1 : head.readUInt32BE(8)
    if (found !== version) throw new Error(found < 0 ? 'it is cut short' : `it is of version ${found}, not ${version}`)
    const content = parse(readFileSync(path))
    rmSync(path)
    return content
  } catch (cause) {
    throw failure(path, 'was ignored', cause, 'The cache starts empty.')
  }
}

/** The first bytes of a file; `undefined` where there is none. */
function readHead(path: string): Buffer | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const head = Buffer.alloc(headerBytes)
    return head.subarray(0, readSync(file, head))
  } finally {
    closeSync(file)
  }
}

/** Whether something stands at `path` that is not ours to replace. */
function isForeign(path: string): boolean {
  const head = readHead(path)
  return head !== undefined && head.length > 0 && !magic.equals(head.subarray(0, magic.length))
}

function parse(bytes: Buffer): Content {
  const end = bytes.length - trailerBytes
  const damaged = new Error('it is damaged')
  if (end < headerBytes || bytes.readUInt32BE(end + 4) !== crc32(bytes.subarray(0, end + 4))) throw damaged
  const held: HeldPlace[] = []
  for (let at = headerBytes; at < end; ) {
    if (end - at < 8) throw damaged
    const placeAt = at + 8
    const frameAt = placeAt + bytes.readUInt32BE(at)
    at = frameAt + bytes.readUInt32BE(at + 4)
    if (at > end) throw damaged
    const record = decodeRecord(bytes.subarray(frameAt, at))
    const place = readPlace(bytes.toString('utf8', placeAt, frameAt))
    if (record === undefined || place === undefined) throw damaged
    held.push({ ...place, record })
  }
  if (held.length !== bytes.readUInt32BE(end)) throw damaged
  return { savedAt: bytes.readDoubleBE(12), held }
}

function readPlace(text: string): Pick<HeldPlace, 'key' | 'variant'> | undefined {
  const place: unknown = JSON.parse(text)
  if (!Array.isArray(place)) return undefined
  const [key, fields, codings, secondary] = place as unknown[]
  if (typeof key !== 'string' || typeof secondary !== 'string' || !isTexts(fields) || !isTexts(codings))
    return undefined
  const plain = fields.length === 0 && codings.length === 0
  return { key, variant: plain ? undefined : { spec: { fields, codings }, secondary } }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function failure(path: string, happened: string, cause: unknown, then: string): SluiceError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError('ERR_SLUICE_SNAPSHOT', `The snapshot ${path} ${happened}: ${why}. ${then}`, { cause })
}
