import type { OwnReads } from '../../exchange/reads/own-reads.ts'
import type { Input, ReadObserver } from '../../exchange/reads/read-observer.ts'
import { inputTerm, type Place, placeOf, type Term } from '../../exchange/reads/term.ts'
import { namesText, type TermTexts } from './term-texts.ts'

/**
 * What a handler read of its request while it made its answer, each with the value that a look-up for the same request
 * would find: what stood there before the handler ran, whatever was put there since.
 */
export class Reads implements ReadObserver {
  /** Fields by name, `@ip`, `?parameter` of our own stages, and `*`. */
  readonly fields = new Set<string>()
  readonly inputs = new Map<Term, Input>()
  readonly #texts = new Map<Term, string>()
  readonly #written = new Map<Term, unknown>()
  readonly #termTexts: TermTexts
  readonly #own: OwnReads | undefined
  readonly #looks: (() => void)[] = []
  #settling = false
  #closed = false

  /** @param own - tells when it is a limiter behind the cache that reads, and not the handler */
  constructor(termTexts: TermTexts, own?: OwnReads) {
    this.#termTexts = termTexts
    this.#own = own
  }

  read(name: string): void {
    if (this.#listens) this.fields.add(name)
  }

  unread(name: string): void {
    this.fields.delete(name)
  }

  input(input: Input): void {
    if (!this.#listens) return
    const { term, value, late } = input
    const known = this.inputs.get(term)
    // Of several reads of one place the one counts that says most: a value that is somebody's, or that came late.
    if (!known || (!known.hidden && (late || isSet(value)))) this.inputs.set(term, input)
    if (!late && !this.#texts.has(term)) this.#capture(term, value)
  }

  written(term: Term, before: unknown): void {
    if (!this.#written.has(term)) this.#written.set(term, before)
  }

  mark(): (which?: (input: Input) => boolean) => void {
    const fields = new Set(this.fields)
    const inputs = new Map(this.inputs)
    return (which) => {
      for (const name of this.fields) if (!which && !fields.has(name)) this.fields.delete(name)
      for (const [term, input] of this.inputs) {
        const before = inputs.get(term)
        if (before === input || (which && !which(input))) continue
        if (before) this.inputs.set(term, before)
        else this.inputs.delete(term)
      }
    }
  }

  beforeJudging(look: () => void): void {
    this.#looks.push(look)
  }

  /** The head is there, or the end of the body: what has been read so far is judged. */
  settle(): void {
    if (this.#closed) return
    this.#settling = true
    for (const look of this.#looks) look()
    this.#settling = false
  }

  /** What a look-up found at this term, kept before the handler changes it. */
  keep(term: Term, text: string): void {
    this.#texts.set(term, text)
  }

  /** The text of a term before the handler ran; `undefined` where nothing is known of it: then it is as it was. */
  text(term: Term): string | undefined {
    return this.#texts.get(term) ?? this.#textBefore(term)
  }

  /** The whole answer is there: what is read from now on does not shape it. */
  close(): void {
    this.settle()
    this.#closed = true
  }

  get #listens(): boolean {
    return !this.#closed && (this.#settling || this.#own?.now !== true)
  }

  #capture(term: Term, value: unknown): void {
    const place = placeOf(term)
    // It is made of the field each time it is asked for.
    if (place.root !== 'cookie') this.#texts.set(term, this.#textOf(place, value))
  }

  #textOf(place: Place, value: unknown): string {
    if (!place.names) return this.#termTexts.value(value, place)
    return namesText(value, (name) => {
      const term = inputTerm(place.root, [...place.path, name])
      return !this.#written.has(term) || this.#written.get(term) !== undefined
    })
  }

  /** From what was written over first, at this place or on the way to it: what was put there since is not the request's. */
  #textBefore(term: Term): string | undefined {
    for (const [above, before] of this.#written) {
      if (term !== above && !term.startsWith(`${above}/`)) continue
      return this.#termTexts.walk(before, placeOf(term), placeOf(above).path.length)
    }
    return undefined
  }
}

/** Whether a value is more than the absence of one. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== ''
}
