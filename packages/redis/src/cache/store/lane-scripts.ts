import type { Clock } from '@sluice/core'
import type { Call, Link } from '../../connection/link.ts'
import type { Script } from '../../connection/script.ts'
import type { Lane, LanePosition } from './lanes.ts'
import { ServerRun } from './server-run.ts'

/** What a script answered: where its lane stands, and from `values[2]` on what was asked. */
export interface Answer extends LanePosition {
  readonly values: readonly unknown[]
}

/** How often a script is asked again because something changed between two of its calls. */
export const attempts = 4

export interface LaneScriptsOptions {
  readonly link: Link
  readonly clock: Clock
  /** Whose time entries are measured by. */
  readonly time: 'server' | 'clock'
}

/** Runs scripts on lanes, telling each what this process knows of the lane, and learning from each answer. */
export class LaneScripts {
  readonly link: Link
  readonly #clock: Clock
  readonly #ownTime: boolean
  readonly #server: ServerRun

  constructor({ link, clock, time }: LaneScriptsOptions) {
    this.link = link
    this.#clock = clock
    this.#ownTime = time === 'clock'
    this.#server = new ServerRun(link)
  }

  /**
   * Once more where the lane turns out to have lost its memory.
   *
   * @param waitMs - how long it may wait for a connection; default: as the link has it
   */
  async run(lane: Lane, script: Script, keys: readonly string[], args: Call['args'], waitMs?: number): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const run = this.#server.id ?? (await this.#server.learn(waitMs))
      const head = lane.head(this.#ownTime ? String(this.now()) : '', run)
      const before = lane.seen
      const call = { script, keys: [lane.clock, ...keys], args: [...head, ...args], waitMs }
      const values = (await this.link.run(call)) as readonly unknown[]
      const answer: Answer = { epoch: String(values[0]), n: Number(values[1]), values }
      if (lane.note(answer, before) || attempt === attempts) return answer
      lane.bury(answer.epoch)
    }
  }

  now(): number {
    return this.#ownTime ? Math.floor(this.#clock.now()) : this.#clock.now()
  }
}
