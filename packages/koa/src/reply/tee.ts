import { pipeline, type Readable, Transform } from 'node:stream'

/**
 * A stream of the same bytes, at the pace they are taken, with a copy beside.
 *
 * @param limit - how many bytes are copied at most; past that the copy is dropped and the stream goes on
 * @param onWhole - given the copy when the source came to its end
 * @param onBroken - the source failed, or was destroyed because nobody takes it any more
 */
export function tee(source: Readable, limit: number, onWhole: (bytes: Buffer) => void, onBroken: () => void): Readable {
  let copied: Buffer[] | undefined = []
  let length = 0
  const copy = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.byteLength
      // Copied, and not kept: whoever produced it may use its memory again.
      if (length <= limit) copied?.push(Buffer.from(chunk))
      else copied = undefined
      done(null, chunk)
    },
    flush(done) {
      if (copied) onWhole(Buffer.concat(copied))
      done()
    },
  })
  // It may break before anybody else listens.
  copy.on('error', () => {})
  pipeline(source, copy, (error) => error && onBroken())
  return copy
}
