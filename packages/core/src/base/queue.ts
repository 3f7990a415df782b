/** A place in a queue, in the thing itself: no list of its own, nothing to grow. */
export interface Linked<N> {
  older: N | undefined
  newer: N | undefined
  /** What it counts against the cap. Bytes. */
  size: number
}

/** Things in the order in which they came. */
export class Queue<N extends Linked<N>> {
  oldest: N | undefined
  newest: N | undefined
  bytes = 0
  length = 0

  add(node: N): void {
    node.older = this.newest
    node.newer = undefined
    if (this.newest === undefined) this.oldest = node
    else this.newest.newer = node
    this.newest = node
    this.bytes += node.size
    this.length++
  }

  /** The links of what left are cut: what somebody still holds must not hold what came before and after it. */
  remove(node: N): void {
    if (node.older === undefined) this.oldest = node.newer
    else node.older.newer = node.newer
    if (node.newer === undefined) this.newest = node.older
    else node.newer.older = node.older
    node.older = undefined
    node.newer = undefined
    this.bytes -= node.size
    this.length--
  }

  /** Puts a node in the place of another. */
  replace(node: N, next: N): void {
    next.older = node.older
    next.newer = node.newer
    if (node.older === undefined) this.oldest = next
    else node.older.newer = next
    if (node.newer === undefined) this.newest = next
    else node.newer.older = next
    node.older = undefined
    node.newer = undefined
    this.bytes += next.size - node.size
  }
}
