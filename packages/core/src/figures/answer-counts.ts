import type { AnswerEvent, AnswerResult } from '../base/events.ts'
import { type BoundedNames, methodLabel, reasonLabel } from './labels.ts'

/** How many requests of a route came to the same. */
export interface AnswerFigures {
  readonly route: string
  readonly method: string
  readonly result: AnswerResult
  /** The word of `Cache-Status`; empty where it has none. */
  readonly reason: string
  readonly count: number
}

/** Requests of one method to one route. */
class MethodCounts {
  /** By far the most: counted without looking further. */
  hits = 0
  readonly others = new Map<AnswerResult, Map<string, number>>()

  add(result: AnswerResult, reason: string): void {
    let counts = this.others.get(result)
    if (!counts) {
      counts = new Map()
      this.others.set(result, counts)
    }
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
}

class RouteCounts {
  readonly methods = new Map<string, MethodCounts>()
  front = 0

  of(method: string): MethodCounts {
    const known = this.methods.get(method)
    if (known) return known
    const label = methodLabel(method)
    let counts = this.methods.get(label)
    if (!counts) {
      counts = new MethodCounts()
      this.methods.set(label, counts)
    }
    return counts
  }
}

/** Counts answers by route, method, result and reason. A plain hit costs two look-ups, and leaves nothing behind. */
export class AnswerCounts {
  readonly #routes = new Map<string, RouteCounts>()
  readonly #names: BoundedNames

  /** @param names - the routes that are told apart */
  constructor(names: BoundedNames) {
    this.#names = names
  }

  add({ route, method, result, reason, front }: AnswerEvent): void {
    const counts = this.#routes.get(route) ?? this.#admitted(route)
    if (front) counts.front++
    const own = counts.of(method)
    if (result === 'hit') own.hits++
    else own.add(result, reasonLabel(reason))
  }

  #admitted(route: string): RouteCounts {
    const name = this.#names.admit(route)
    let counts = this.#routes.get(name)
    if (!counts) {
      counts = new RouteCounts()
      this.#routes.set(name, counts)
    }
    return counts
  }

  read(): AnswerFigures[] {
    const figures: AnswerFigures[] = []
    for (const [route, { methods }] of this.#routes) {
      for (const [method, { hits, others }] of methods) {
        if (hits > 0) figures.push({ route, method, result: 'hit', reason: '', count: hits })
        for (const [result, counts] of others) {
          for (const [reason, count] of counts) figures.push({ route, method, result, reason, count })
        }
      }
    }
    return figures
  }

  /** How many of them were given in front of the application. */
  readFront(): { readonly route: string; readonly count: number }[] {
    return [...this.#routes].flatMap(([route, { front }]) => (front > 0 ? { route, count: front } : []))
  }
}
