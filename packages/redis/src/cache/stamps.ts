import { randomBytes } from 'node:crypto'
import { stampBytes } from './scripts.ts'

/** Marks for what is written, that no process has used before. */
export class Stamps {
  readonly #own = randomBytes(10)
  #count = 0

  next(): Buffer {
    const stamp = Buffer.allocUnsafe(stampBytes)
    this.#own.copy(stamp)
    stamp.writeUIntBE(this.#count++, this.#own.length, stampBytes - this.#own.length)
    return stamp
  }
}
