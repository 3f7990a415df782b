import type { Duplex } from 'node:stream'
import * as zlib from 'node:zlib'

/** The content codings Sluice can make and read (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
export type Coding = 'br' | 'zstd' | 'gzip' | 'deflate'

/** Options of node:zlib for one coding, beside the level: `{ memLevel, windowBits, strategy, chunkSize, params, … }`. */
export interface ZlibParams {
  readonly chunkSize?: number | undefined
  readonly windowBits?: number | undefined
  readonly memLevel?: number | undefined
  readonly strategy?: number | undefined
  /** What each write of a stream ends with. Event streams are flushed without it. */
  readonly flush?: number | undefined
  /** For br and zstd: parameters by number (`zlib.constants.BROTLI_PARAM_MODE`, …). */
  readonly params?: Readonly<Record<number, number>> | undefined
}

type Once = (
  body: Uint8Array,
  options: object,
  done: (error: Error | null, result: Uint8Array<ArrayBufferLike>) => void,
) => void

interface Maker {
  readonly sync: (body: Uint8Array, options: object) => Uint8Array<ArrayBufferLike>
  readonly once: Once
  readonly stream: (options: object) => Duplex
  readonly decoder: () => Duplex
  /** Options for a level. `length`: of a body that is there as a whole. */
  options(level: number, length: number | undefined, params: ZlibParams | undefined): object
  /** What makes a stream emit what it has after each write. */
  readonly eager: number
  /** Up to this level a body is encoded at tens of megabytes a second, so that it need not leave the event loop. */
  readonly quick: number
  readonly levels: readonly [least: number, best: number]
  readonly level: number
}

/** zstd came with Node 22.15; this is what of it is in use. */
interface Zstd {
  zstdCompressSync: Maker['sync']
  zstdCompress: Once
  createZstdCompress: Maker['stream']
  createZstdDecompress: () => Duplex
}

const { constants } = zlib
const deflateOptions: Maker['options'] = (level, length, params) => ({
  level,
  // What is smaller than the window needs no larger one, and allocating it is most of the work for a small body.
  ...(length === undefined
    ? {}
    : { windowBits: clamp(bitsOf(length), 9, 15), memLevel: clamp(bitsOf(length) - 6, 4, 8) }),
  ...given(params),
})

const makers: Readonly<Record<Coding, Maker | undefined>> = {
  br: {
    sync: zlib.brotliCompressSync,
    once: zlib.brotliCompress,
    stream: zlib.createBrotliCompress,
    decoder: zlib.createBrotliDecompress,
    options: (level, length, params) => ({
      ...given(params),
      params: {
        [constants.BROTLI_PARAM_QUALITY]: level,
        ...(length === undefined
          ? {}
          : {
              [constants.BROTLI_PARAM_SIZE_HINT]: length,
              [constants.BROTLI_PARAM_LGWIN]: clamp(bitsOf(length), 10, 22),
            }),
        ...params?.params,
      },
    }),
    eager: constants.BROTLI_OPERATION_FLUSH,
    quick: 6,
    levels: [0, 11],
    level: 4,
  },
  zstd: zstd(),
  gzip: {
    sync: zlib.gzipSync,
    once: zlib.gzip as Once,
    stream: zlib.createGzip,
    decoder: zlib.createGunzip,
    options: deflateOptions,
    eager: constants.Z_SYNC_FLUSH,
    quick: 9,
    levels: [-1, 9],
    level: 6,
  },
  deflate: {
    sync: zlib.deflateSync,
    once: zlib.deflate as Once,
    stream: zlib.createDeflate,
    decoder: zlib.createInflate,
    options: deflateOptions,
    eager: constants.Z_SYNC_FLUSH,
    quick: 9,
    levels: [-1, 9],
    level: 6,
  },
}

function zstd(): Maker | undefined {
  const { zstdCompressSync, zstdCompress, createZstdCompress, createZstdDecompress } = zlib as unknown as Partial<Zstd>
  if (!zstdCompressSync || !zstdCompress || !createZstdCompress || !createZstdDecompress) return undefined
  const { ZSTD_c_compressionLevel = 100, ZSTD_e_flush = 1 } = constants as unknown as Record<string, number>
  return {
    sync: zstdCompressSync,
    once: zstdCompress,
    stream: createZstdCompress,
    decoder: createZstdDecompress,
    options: (level, _length, params) => ({
      ...given(params),
      params: { [ZSTD_c_compressionLevel]: level, ...params?.params },
    }),
    eager: ZSTD_e_flush,
    quick: 9,
    levels: [-7, 22],
    level: 3,
  }
}

/** How node's zlib makes a coding; `undefined` where this Node does not. */
export function makerOf(coding: string): Maker | undefined {
  return Object.hasOwn(makers, coding) ? makers[coding as Coding] : undefined
}

/** All of them, those this Node lacks included: naming one is no mistake. The first is liked best. */
export const codings: readonly Coding[] = Object.freeze(['br', 'zstd', 'gzip', 'deflate'])

/** The highest level worth its time for an answer that is sent often. */
export const bestLevels: Readonly<Record<Coding, number>> = Object.freeze({ br: 11, zstd: 19, gzip: 9, deflate: 9 })

function bitsOf(length: number): number {
  return 32 - Math.clz32(Math.max(length - 1, 1))
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}

/** node:zlib takes `undefined` for a wrong number. */
function given(params: ZlibParams | undefined): object {
  return Object.fromEntries(Object.entries(params ?? {}).filter(([, value]) => value !== undefined))
}
