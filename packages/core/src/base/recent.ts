interface Node<K, V> {
  readonly key: K
  value: V
  older: Node<K, V> | undefined
  newer: Node<K, V> | undefined
}

/**
 * What was used last, up to a number of entries; then the one goes that was not used for longest. It takes room for what it
 * holds: a list laid out for all that it may hold one day (as that of lru-cache with `max` is) costs milliseconds and
 * megabytes at the start of every application, used or not.
 */
export class Recent<K, V> {
  readonly #nodes = new Map<K, Node<K, V>>()
  readonly #most: number
  #oldest: Node<K, V> | undefined
  #newest: Node<K, V> | undefined

  /** @param most at least 1 */
  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#nodes.size
  }

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const node = this.#nodes.get(key)
    if (!node) return undefined
    this.#use(node)
    return node.value
  }

  set(key: K, value: V): void {
    const known = this.#nodes.get(key)
    if (known) {
      known.value = value
      this.#use(known)
      return
    }
    if (this.#nodes.size >= this.#most) this.delete(this.#oldest!.key)
    const node = { key, value, older: undefined, newer: undefined }
    this.#nodes.set(key, node)
    this.#append(node)
  }

  delete(key: K): void {
    const node = this.#nodes.get(key)
    if (!node) return
    this.#nodes.delete(key)
    this.#takeOut(node)
  }

  clear(): void {
    this.#nodes.clear()
    this.#oldest = undefined
    this.#newest = undefined
  }

  #use(node: Node<K, V>): void {
    if (node === this.#newest) return
    this.#takeOut(node)
    this.#append(node)
  }

  #append(node: Node<K, V>): void {
    node.older = this.#newest
    node.newer = undefined
    if (this.#newest) this.#newest.newer = node
    else this.#oldest = node
    this.#newest = node
  }

  #takeOut({ older, newer }: Node<K, V>): void {
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
  }
}
