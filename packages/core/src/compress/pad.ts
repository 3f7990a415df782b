import { randomBytes, randomInt } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'

/** RFC 1952 §2.3: ten bytes, of which the fourth says what stands between them and the data. */
const headBytes = 10
const flagsAt = 3
const hasComment = 0x10

/**
 * A gzip body with a comment of random length in its head, which every decoder skips (RFC 1952 §2.3.1, FCOMMENT). What
 * is compressed beside a secret then no longer shows in the length (BREACH) but after many more requests.
 *
 * @param most - bytes at most; at least one is added
 */
export function padGzip(body: Uint8Array, most: number): Uint8Array {
  const comment = randomComment(most)
  const padded = Buffer.allocUnsafe(body.byteLength + comment.byteLength)
  padded.set(body.subarray(0, headBytes))
  padded[flagsAt] = padded[flagsAt]! | hasComment
  padded.set(comment, headBytes)
  padded.set(body.subarray(headBytes), headBytes + comment.byteLength)
  return padded
}

/** The same for a stream of node:zlib, whose first chunk begins with the head. */
export function padGzipStream(stream: Duplex, most: number): Duplex {
  const push = stream.push as Readable['push']
  stream.push = (chunk, encoding) => {
    stream.push = push
    const isHead = chunk instanceof Uint8Array && chunk.byteLength >= headBytes
    return push.call(stream, isHead ? padGzip(chunk, most) : chunk, encoding)
  }
  return stream
}

/** Zero-terminated Latin-1 without a zero in it. Letters, because that is what a comment is. */
function randomComment(most: number): Uint8Array {
  const comment = randomBytes(1 + randomInt(most))
  for (let i = 0; i < comment.byteLength; i++) comment[i] = 97 + (comment[i]! % 26)
  comment[comment.byteLength - 1] = 0
  return comment
}
