import type { Verdict } from '../store/store.ts'

/** Somebody who stands in line. */
export interface InLine {
  /** Which one it was to arrive. */
  readonly arrival: number
  /** The keys it waits for now. */
  keys: readonly string[]
  /** How many units it wants of a key. */
  unitsOf(key: string): number
  /** It has become the first in all its lines, or something was given back there. */
  ask(): void
}

/** What was found out about the wait for a number of units of a key. */
export interface Known {
  readonly units: number
  readonly verdict: Verdict
  readonly atMs: number
  /** As the line was when it was asked for. */
  readonly state: object | undefined
}

interface Line {
  readonly waiting: InLine[]
  /** Another object whenever the line has changed. */
  state: object
  known: Known | undefined
}

/** What was found out holds until the line changes, and for so long at most: others count in the same store. */
const knownMs = 1_000

/**
 * Who waits for which key, in the order of arrival. Whoever waits stands in the lines of those keys alone that have refused
 * it, and asks again only while it is the first in all of them; the one that came first of all always is, so nobody waits
 * for somebody who waits for him.
 */
export class Lines {
  readonly #lines = new Map<string, Line>()
  /** Those whose turn it may be. A list, and not calls inside each other: a long line may move on all at once. */
  readonly #turns: InLine[] = []
  #takingTurns = false

  /** How many keys are waited for. */
  get size(): number {
    return this.#lines.size
  }

  length(key: string): number {
    return this.#lines.get(key)?.waiting.length ?? 0
  }

  /** How many units those want who came before. */
  unitsAhead(key: string, arrival: number): number {
    let units = 0
    for (const one of this.#lines.get(key)?.waiting ?? none) {
      if (one.arrival >= arrival) break
      units += one.unitsOf(key)
    }
    return units
  }

  known(key: string, units: number, nowMs: number): Known | undefined {
    const line = this.#lines.get(key)
    const known = line?.known
    if (known?.units !== units || known.state !== line?.state) return undefined
    return nowMs >= known.atMs && nowMs - known.atMs < knownMs ? known : undefined
  }

  /** What a line is like now, to be compared. */
  state(key: string): object | undefined {
    return this.#lines.get(key)?.state
  }

  note(key: string, known: Known): void {
    const line = this.#lines.get(key)
    if (line) line.known = known
  }

  /** From now on it stands in these lines and in no others. */
  stand(one: InLine, keys: readonly string[]): void {
    const left = one.keys.filter((key) => !keys.includes(key))
    const joined = keys.filter((key) => !one.keys.includes(key))
    one.keys = keys
    for (const key of joined) this.#join(key, one)
    this.#depart(left, one)
  }

  leave(one: InLine): void {
    this.stand(one, none)
  }

  isFirst(one: InLine): boolean {
    return one.keys.length > 0 && one.keys.every((key) => this.#lines.get(key)?.waiting[0] === one)
  }

  /** Something of that key is there again: who waits for it first asks. */
  freed(key: string): void {
    if (this.#lines.size > 0) this.#turn([key])
  }

  /** The same of all keys. */
  freedAll(): void {
    this.#turn([...this.#lines.keys()])
  }

  #join(key: string, one: InLine): void {
    let line = this.#lines.get(key)
    if (!line) {
      line = { waiting: [], state: {}, known: undefined }
      this.#lines.set(key, line)
    }
    const { waiting } = line
    let at = waiting.length
    while (at > 0 && waiting[at - 1]!.arrival > one.arrival) at--
    waiting.splice(at, 0, one)
    line.state = {}
  }

  #depart(keys: readonly string[], one: InLine): void {
    for (const key of keys) {
      const line = this.#lines.get(key)!
      line.waiting.splice(line.waiting.indexOf(one), 1)
      line.state = {}
      if (line.waiting.length === 0) this.#lines.delete(key)
    }
    this.#turn(keys)
  }

  #turn(keys: readonly string[]): void {
    for (const key of keys) {
      const line = this.#lines.get(key)
      if (!line) continue
      line.state = {}
      this.#turns.push(line.waiting[0]!)
    }
    if (this.#takingTurns) return
    this.#takingTurns = true
    try {
      for (let one = this.#turns.shift(); one; one = this.#turns.shift()) if (this.isFirst(one)) one.ask()
    } finally {
      this.#takingTurns = false
    }
  }
}

const none: readonly never[] = Object.freeze([])
