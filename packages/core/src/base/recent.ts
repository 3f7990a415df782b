import { type Linked, Queue } from './queue.ts'

interface Node<K, V> extends Linked<Node<K, V>> {
  readonly key: K
  value: V
}

/**
 * What was used last, up to a number of entries; then the one goes that was not used for longest. It takes room for what it
 * holds: a list laid out for all that it may hold one day (as that of lru-cache with `max` is) costs milliseconds and
 * megabytes at the start of every application, used or not.
 */
export class Recent<K, V> {
  readonly #nodes = new Map<K, Node<K, V>>()
  #order = new Queue<Node<K, V>>()
  readonly #most: number

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
    if (this.#nodes.size >= this.#most) this.delete(this.#order.oldest!.key)
    const node = { key, value, older: undefined, newer: undefined, size: 1 }
    this.#nodes.set(key, node)
    this.#order.add(node)
  }

  delete(key: K): void {
    const node = this.#nodes.get(key)
    if (!node) return
    this.#nodes.delete(key)
    this.#order.remove(node)
  }

  clear(): void {
    this.#nodes.clear()
    this.#order = new Queue()
  }

  #use(node: Node<K, V>): void {
    if (node === this.#order.newest) return
    this.#order.remove(node)
    this.#order.add(node)
  }
}
