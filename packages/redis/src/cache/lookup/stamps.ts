import { randomBytes } from 'node:crypto'
import { stampBytes } from '../store/scripts.ts'

/** Marks for what is written, that no process has used before. */
export class Stamps {
  readonly #own = randomBytes(10)
  #count = 0

  /** Writes one into the room in front of a frame. */
  stamp(frame: Buffer): Buffer {
    this.#own.copy(frame)
    frame.writeUIntBE(this.#count++, this.#own.length, stampBytes - this.#own.length)
    return frame
  }
}
