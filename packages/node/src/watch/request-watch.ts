import {
  cookieTerm,
  type Input,
  inputTerm,
  namesTerm,
  notesFor,
  notesOn,
  type ReadObserver,
  type Term,
} from '@sluice/core'

interface Listening {
  readonly observer: ReadObserver
  /** Which of the writes were made before it began to listen. */
  readonly since: number
}

const watchKey = Symbol('sluice.watch')

/**
 * Everything that is watched of one request, on whatever object of the framework's it stands: who wants to know of reads,
 * and what was put there since they wanted.
 */
export class RequestWatch {
  readonly #listening: Listening[] = []
  readonly #writes = new Map<Term, number>()
  #writeCount = 0
  #addressReads = 0
  #silent = 0
  #trust = 0
  #answering = 0
  /** The cookies that the handler is to see. `undefined`: all. */
  visibleCookies: readonly string[] | undefined

  /** The watch of a request; of all the objects a framework has for one it is the same. */
  static of(request: object): RequestWatch {
    const notes = notesFor(request)
    notes[watchKey] ??= new RequestWatch()
    return notes[watchKey] as RequestWatch
  }

  static on(request: object): RequestWatch | undefined {
    return notesOn(request)?.[watchKey] as RequestWatch | undefined
  }

  listen(observer: ReadObserver): void {
    this.#listening.push({ observer, since: this.#writeCount })
  }

  /** Has something looked at again before what was read is judged. */
  beforeJudging(look: () => void): void {
    for (const { observer } of this.#listening) observer.beforeJudging(look)
  }

  /** Runs what belongs to the framework: it may hold on to things that it does not read. */
  trusting<T>(run: () => T): T {
    this.#trust++
    try {
      return run()
    } finally {
      this.#trust--
    }
  }

  /** The same for what an object of the framework's has under a name, without the function it would take to say so. */
  trusted(object: object, key: string | symbol, receiver: object): unknown {
    this.#trust++
    try {
      return Reflect.get(object, key, receiver)
    } finally {
      this.#trust--
    }
  }

  get trusts(): boolean {
    return this.#trust > 0 || this.#silent > 0
  }

  /** Runs a getter of the framework's: what it reads on the way is not what was asked for. */
  silently<T>(run: () => T): T {
    this.#silent++
    try {
      return run()
    } finally {
      this.#silent--
    }
  }

  /** Runs what the cache answers itself: it reads what it likes, and keeps nothing of it. */
  answering<T>(run: () => T): T {
    this.#silent++
    this.#answering++
    try {
      return run()
    } finally {
      this.#silent--
      this.#answering--
    }
  }

  get answers(): boolean {
    return this.#answering > 0
  }

  get #hears(): boolean {
    return this.#silent === 0
  }

  /** A field was read, or something with a name of its own. */
  field(name: string): void {
    if (!this.#hears) return
    if (name === '@ip') this.#addressReads++
    for (const { observer } of this.#listening) observer.read(name)
  }

  /**
   * The address was put by. Nobody has used it yet, if nobody else has asked for it before.
   *
   * @param reads - how many it takes to get at it
   */
  addressKept(reads: number): void {
    if (this.#addressReads > reads) return
    for (const { observer } of this.#listening) observer.unread('@ip')
  }

  /** A cookie was read by its name. */
  cookie(name: string): void {
    if (this.#hears)
      for (const { observer } of this.#listening) observer.input({ term: cookieTerm(name), value: undefined })
  }

  /** The value at a place was read. */
  value(root: string, path: readonly string[], value: unknown): void {
    if (this.#hears) this.#tell(inputTerm(root, path), value, path)
  }

  /** The names at a place were listed. */
  names(root: string, path: readonly string[], value: unknown): void {
    if (this.#hears) this.#tell(namesTerm(root, path), value, path, { names: true })
  }

  /** What stands at a place cannot be watched. */
  hidden(root: string, path: readonly string[], value: unknown): void {
    this.#tell(inputTerm(root, path), value, path, { hidden: true })
  }

  /** The value at a place is about to be replaced. */
  written(root: string, path: readonly string[], before: unknown): void {
    const term = inputTerm(root, path)
    for (const { observer } of this.#listening) observer.written(term, before)
    this.#writes.set(term, ++this.#writeCount)
  }

  /** Whether the value at a place was replaced. */
  wrote(root: string, path: readonly string[]): boolean {
    return this.#writes.size > 0 && this.#writes.has(inputTerm(root, path))
  }

  #tell(term: Term, value: unknown, path: readonly string[], more?: Partial<Input>): void {
    for (const { observer, since } of this.#listening) {
      observer.input({ term, value, ...more, late: this.#isWrittenSince(since, term, path.length) })
    }
  }

  /** Whether the place, or one on the way to it, was written to. */
  #isWrittenSince(since: number, term: Term, length: number): boolean {
    if (this.#writeCount === since) return false
    const parts = term.split('/')
    for (let i = 2; i <= Math.min(length + 1, parts.length); i++) {
      const at = this.#writes.get(parts.slice(0, i).join('/'))
      if (at !== undefined && at > since) return true
    }
    return false
  }
}
