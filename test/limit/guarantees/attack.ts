import type { AlgorithmKind, StateKind } from '../../../packages/core/src/limit/algorithms/algorithm.ts'
import type { Charge, LimitStore, Quota, Verdict } from '../../../packages/core/src/limit/store/store.ts'
import { chargeOf, type QuotaInput, quotaOf } from '../../redis/limits/support.ts'
import { randomOf } from '../../redis/limits/trace.ts'
import type { Letters } from './table.ts'

/** How long the window of a limit is: an hour, or the day of the calendar. */
export const windowOf = (kind: StateKind): number => (kind === 'calendar-window' ? 86_400_000 : 3_600_000)
/** How long units that are taken in advance are held. */
const holdMs = 1_000

export const letters: Letters = { N: 6, B: 4, n: 3, b: 2, P: 3 }

/** The limit of the table, counted in that way. */
export function quotaFor(kind: AlgorithmKind, more: QuotaInput = {}): Quota {
  const { N, B } = letters
  if (kind === 'concurrent') return quotaOf(`${N} concurrent`, more)
  if (kind === 'calendar-window') return quotaOf(`${N} per calendar day`, more)
  return quotaOf(kind === 'token-bucket' ? `${N}/h burst ${B}` : `${N}/h`, { algorithm: kind, ...more })
}

/** Several processes with one limit, and the time they live in. */
export interface Stage {
  readonly quota: Quota
  readonly stores: readonly LimitStore[]
  pass(ms: number): void
  now(): number
  /** When that request was admitted. */
  timeOf(verdict: Verdict): number
}

/** One client, and all that was admitted of it, through whichever process. */
export class Client {
  readonly #stage: Stage
  readonly #subject: string
  readonly #held: { readonly store: LimitStore; readonly charge: Charge; readonly verdict: Verdict }[] = []
  readonly admittedAt: number[] = []
  /** Of concurrent permits: the most there were out at once. */
  mostHeld = 0

  constructor(stage: Stage, subject: string) {
    this.#stage = stage
    this.#subject = subject
  }

  /** So many requests at once, through each process in turn. */
  async ask(count: number): Promise<readonly Verdict[]> {
    const { stores, quota } = this.#stage
    return Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const store = stores[i % stores.length]!
        const charge = chargeOf(quota, this.#subject)
        const [verdict] = await store.consume([charge])
        if (!verdict!.allowed) return verdict!
        this.admittedAt.push(this.#stage.timeOf(verdict!))
        this.#held.push({ store, charge, verdict: verdict! })
        this.mostHeld = Math.max(this.mostHeld, this.#held.length)
        return verdict!
      }),
    )
  }

  /** More than any cell of the table lets through. */
  burst(): Promise<readonly Verdict[]> {
    return this.ask(4 * (letters.N + letters.B))
  }

  get held(): number {
    return this.#held.length
  }

  /** Some permits come back, the others are renewed. */
  async release(count: number): Promise<void> {
    for (const { store, charge, verdict } of this.#held.splice(0, count)) {
      await store.settle([{ charge, verdict, refund: charge.cost }])
    }
    for (const { store, charge } of this.#held) await store.renew([charge])
  }

  /** The most that was admitted in one window, or that was out at once. */
  get most(): number {
    const { kind } = this.#stage.quota.algorithm
    return kind === 'concurrent' ? this.mostHeld : busiest(this.admittedAt, windowOf(kind))
  }
}

/** The most moments of which the first and the last are less than a window apart. */
export function busiest(times: readonly number[], windowMs: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  let [from, most] = [0, 0]
  for (const [to, at] of sorted.entries()) {
    while (at - sorted[from]! >= windowMs) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

/** How much is asked for after how long: 0 for a burst. */
type Step = readonly [gapMs: number, count: number]

const everything = 0

/** What someone does who knows how the limit counts. `random`: for the gaps, where they are drawn. */
export function patterns(W: number, random: () => number): readonly (readonly Step[])[] {
  const edges = [0, 1, holdMs - 1, holdMs, W / 16 - 1, W / 16, W / 16 + 1, W - holdMs, W - 1, W, W + 1]
  const draw = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  return [
    // One opens a window, the rest of it comes at its end, and the next one at once.
    [
      [0, 1],
      [W - 1, everything],
      [1, everything],
      [W - 1, everything],
      [1, everything],
      [W + 1, everything],
    ],
    [
      [0, 1],
      [W + holdMs - 1, everything],
      [1, everything],
      [W - 1, everything],
      [holdMs, everything],
    ],
    // As much as flows in, when it does.
    Array.from({ length: 2 * letters.N + 1 }, (): Step => [W / letters.N, everything]),
    Array.from({ length: 20 }, (): Step => [W / 16, everything]),
    // Units that were taken in advance at the end of a window are used in the next one.
    Array.from({ length: 4 }, (): readonly Step[] => [
      [W - holdMs, 1],
      [holdMs - 1, 2],
      [1, everything],
      [holdMs - 2, everything],
    ]).flat(),
    Array.from({ length: 30 }, (): Step => [draw(edges), draw([1, 2, letters.N, everything])]),
  ]
}

/** Time passes until a window of the calendar begins, which all windows of that length do alike. */
export function toEdge(stage: Stage): void {
  const W = windowOf(stage.quota.algorithm.kind)
  stage.pass(W - (stage.now() % W))
}

/** Attacks a limit of windows in every way there is, each from `phases` moments; the most that was admitted in any window. */
export async function attackWindows(stage: Stage, phases: number, seed: number): Promise<number> {
  const random = randomOf(seed)
  const W = windowOf(stage.quota.algorithm.kind)
  let most = 0
  for (let phase = 0; phase < phases; phase++) {
    for (const [i, steps] of patterns(W, random).entries()) {
      // From another place in its sixteenth, first and last millisecond included; of the calendar, from midnight first.
      const into = phase === 0 ? 0 : phase === 1 ? W / 16 - 1 : Math.floor((random() * W) / 16)
      toEdge(stage)
      stage.pass(into)
      const client = new Client(stage, `c${phase}-${i}`)
      for (const [gapMs, count] of steps) {
        stage.pass(gapMs)
        await (count === everything ? client.burst() : client.ask(count))
      }
      most = Math.max(most, client.most)
    }
  }
  return most
}

/** The same for permits: taken by all processes at once, given back and renewed as it comes; the most out at once. */
export async function attackPermits(stage: Stage, rounds: number, seed: number): Promise<number> {
  const random = randomOf(seed)
  const client = new Client(stage, 'held')
  for (let round = 0; round < rounds; round++) {
    await (round % 3 === 0 ? client.burst() : client.ask(1 + Math.floor(random() * letters.N)))
    stage.pass(Math.floor(random() * 9_000))
    await client.release(Math.floor(random() * (client.held + 1)))
  }
  return client.most
}

export function attack(stage: Stage, effort: number, seed: number): Promise<number> {
  return stage.quota.algorithm.kind === 'concurrent'
    ? attackPermits(stage, 20 * effort, seed)
    : attackWindows(stage, effort, seed)
}
