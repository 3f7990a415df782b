import { asksBan, type Charge } from '@sluice/core'
import { Batcher } from '../../connection/batcher.ts'
import type { Link } from '../../connection/link.ts'
import type { Letter, LimitScripts } from '../store/scripts.ts'
import type { Spec } from '../store/spec.ts'
import type { Periods } from './periods.ts'

/** A request's charges, as scripts are told of them. */
export interface Decision {
  readonly charges: readonly Charge[]
  readonly specs: readonly Spec[]
  readonly keys: readonly string[]
  /** How many units to take beyond each cost. */
  readonly extras: readonly number[] | undefined
}

/** Makes something of an answer: the time, then four numbers for each charge of the decision, from `at` on. */
export type Read<T> = (numbers: readonly unknown[], at: number) => T

interface Asked {
  readonly decision: Decision
  readonly resolve: Read<void>
  readonly reject: (error: unknown) => void
}

export interface DecisionsOptions {
  readonly link: Link
  readonly scripts: LimitScripts
  readonly periods: Periods
  /** The time to count by; empty for the server's. */
  readonly now: () => string
}

/** How many charges a call decides at most: Redis does nothing else meanwhile, a tenth of a millisecond. */
const chargesPerCall = 16

/**
 * Asks Redis to charge: what one turn of the event loop asks, as few calls. Not in a Cluster, where a call belongs to one
 * slot.
 */
export class Decisions {
  readonly #options: DecisionsOptions
  readonly #batcher = new Batcher<Asked>(chargesPerCall, (asked) => void this.#together(asked))

  constructor(options: DecisionsOptions) {
    this.#options = options
  }

  charge<T>(decision: Decision, read: Read<T>): Promise<T> {
    if (this.#options.link.client.isCluster) return this.#now('c', decision, read)
    return new Promise((resolve, reject) => {
      const asked: Asked = { decision, resolve: (numbers, at) => resolve(read(numbers, at)), reject }
      this.#batcher.add(asked, decision.charges.length)
    })
  }

  look<T>(decision: Decision, read: Read<T>): Promise<T> {
    return this.#now('p', decision, read)
  }

  async #now<T>(mode: 'c' | 'p', decision: Decision, read: Read<T>): Promise<T> {
    return read(await this.#call(mode, [{ decision }]), 1)
  }

  async #together(asked: readonly Asked[]): Promise<void> {
    try {
      const numbers = await this.#call('c', asked)
      let at = 1
      for (const { decision, resolve } of asked) {
        resolve(numbers, at)
        at += 4 * decision.charges.length
      }
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }

  async #call(mode: 'c' | 'p', asked: readonly Pick<Asked, 'decision'>[]): Promise<readonly unknown[]> {
    const known = new Map<Spec, number>()
    const letters: Letter[] = []
    const keys: string[] = []
    const specs: Spec[] = []
    let list = ''
    for (const { decision } of asked) {
      list += `,${decision.charges.length}`
      for (let i = 0; i < decision.charges.length; i++) {
        const spec = decision.specs[i]!
        let number = known.get(spec)
        if (number === undefined) {
          number = known.size + 1
          known.set(spec, number)
          letters.push(spec.letter)
          specs.push(spec)
        }
        const { cost, permit } = decision.charges[i]!
        const more = permit === '' ? this.#more(decision, i) : JSON.stringify(permit)
        list += `,${number},${cost},${more}`
        keys.push(decision.keys[i]!)
      }
    }
    const { link, scripts, periods, now } = this.#options
    const script = scripts.get('consume', letters)
    return periods.ask(specs, keys.length, (texts) =>
      link.run({ script, keys, args: [now(), mode, `[${list.slice(1)}]`, ...texts] }),
    )
  }

  /** Units to take beyond the cost; of a ban how many charges before it are of its policy. */
  #more({ charges, extras }: Decision, i: number): number {
    const charge = charges[i]!
    if (!asksBan(charge)) return extras?.[i] ?? 0
    let own = 0
    while (own < i && charges[i - own - 1]!.quota.policy === charge.quota.policy) own++
    return own
  }
}
