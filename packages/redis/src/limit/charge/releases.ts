/** More were given back within a round trip only if nearly all that is asked is moot. */
const most = 1_000

/** Names of keys of which something was released lately, to hold late answers against. */
export class Releases {
  readonly #names = new Map<string, number>()
  #count = 0
  /** Of what was released up to there, some is not known any more. */
  #forgotten = 0

  /** A moment between two releases. */
  get moment(): number {
    return this.#count
  }

  add(name: string): void {
    this.#names.delete(name)
    if (this.#names.size >= most) {
      const [oldest, at] = this.#names.entries().next().value!
      this.#names.delete(oldest)
      this.#forgotten = at
    }
    this.#names.set(name, ++this.#count)
  }

  /** Whether something of that key was released since that moment, or may have been. */
  since(moment: number, name: string): boolean {
    return moment < this.#forgotten || (this.#names.get(name) ?? 0) > moment
  }
}
