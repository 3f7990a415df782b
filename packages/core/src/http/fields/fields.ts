/**
 * HTTP header or trailer fields (RFC 9110 §5): a multi-map whose names compare case-insensitively. Repeated fields stay
 * repeated, in order. What was changed since construction is remembered, so that a host applies only that.
 */
export class Fields implements Iterable<readonly [name: string, value: string]> {
  readonly #lines: Map<string, string[]>
  #touched: Set<string> | undefined

  private constructor(lines: Map<string, string[]>) {
    this.#lines = lines
  }

  /** From node's shapes: `res.getHeaders()`, the object given to `writeHead`. `undefined` values are left out. */
  static from(headers: Readonly<Record<string, unknown>> = {}): Fields {
    const lines = new Map<string, string[]>()
    for (const name of Object.keys(headers)) {
      const value = headers[name]
      if (value === undefined) continue
      const list = Array.isArray(value) ? value.map(String) : [String(value)]
      const known = lines.get(name.toLowerCase())
      lines.set(name.toLowerCase(), known ? [...known, ...list] : list)
    }
    return new Fields(lines)
  }

  /** From a flat list of alternating names and values (node's `rawHeaders`, a stored record's fields). */
  static fromFlat(flat: readonly string[]): Fields {
    const fields = new Fields(new Map())
    for (let i = 0; i + 1 < flat.length; i += 2) fields.#push(flat[i]!.toLowerCase(), flat[i + 1]!)
    return fields
  }

  #push(name: string, value: string): void {
    const lines = this.#lines.get(name)
    if (lines) lines.push(value)
    else this.#lines.set(name, [value])
  }

  #touch(name: string): void {
    this.#touched ??= new Set()
    this.#touched.add(name)
  }

  /** The combined value: all lines joined by `, ` (RFC 9110 §5.2); `undefined` where the field is absent. */
  get(name: string): string | undefined {
    const lines = this.#lines.get(name.toLowerCase())
    return lines && (lines.length === 1 ? lines[0] : lines.join(', '))
  }

  /** Every line of the field, in order. */
  lines(name: string): readonly string[] {
    return this.#lines.get(name.toLowerCase()) ?? []
  }

  has(name: string): boolean {
    return this.#lines.has(name.toLowerCase())
  }

  set(name: string, value: string | readonly string[]): void {
    const lower = name.toLowerCase()
    this.#lines.set(lower, typeof value === 'string' ? [value] : [...value])
    this.#touch(lower)
  }

  /** Adds one line behind those that are there. */
  append(name: string, value: string): void {
    const lower = name.toLowerCase()
    this.#push(lower, value)
    this.#touch(lower)
  }

  delete(name: string): void {
    const lower = name.toLowerCase()
    if (this.#lines.delete(lower)) this.#touch(lower)
  }

  /** Names, lower-cased, each once. */
  names(): IterableIterator<string> {
    return this.#lines.keys()
  }

  /** The names set, appended to or deleted since construction. */
  touched(): Iterable<string> {
    return this.#touched ?? []
  }

  /** One pair per line, as they are now. Not a generator: that takes longer than the rest of a limiter's decision. */
  [Symbol.iterator](): IterableIterator<readonly [string, string]> {
    const pairs: (readonly [string, string])[] = []
    this.#lines.forEach((lines, name) => {
      for (let i = 0; i < lines.length; i++) pairs.push([name, lines[i]!])
    })
    return pairs[Symbol.iterator]()
  }

  copy(): Fields {
    return new Fields(new Map([...this.#lines].map(([name, lines]) => [name, [...lines]])))
  }
}
