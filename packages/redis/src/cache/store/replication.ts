import type { Clock } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import { withDeadline } from '../../connection/deadline.ts'
import { Link } from '../../connection/link.ts'
import type { Lane, Lanes } from './lanes.ts'
import { touch } from './scripts.ts'

export interface ReplicationOptions {
  readonly clock: Clock
  readonly lanes: Lanes
  /** Opens a connection of its own: one that waits for replicas answers nothing else meanwhile. */
  readonly open: () => ScriptClient
  readonly deadlineMs: number
}

/** Waits until replicas have what was written so far. The first time opens its connection. */
export class Replication {
  readonly #options: ReplicationOptions
  #client: ScriptClient | undefined

  constructor(options: ReplicationOptions) {
    this.#options = options
  }

  /** How many replicas every node has brought up to date, at the least. 0 where that could not be learnt in time. */
  async confirm(replicas: number): Promise<number> {
    const { clock, deadlineMs } = this.#options
    try {
      return await withDeadline(clock, deadlineMs * 2, 'reach its replicas', this.#confirm(replicas))
    } catch {
      // It may have fallen silent: the next time there is another one.
      this.#client?.close()
      this.#client = undefined
      return 0
    }
  }

  async #confirm(replicas: number): Promise<number> {
    const { lanes, open, deadlineMs } = this.#options
    this.#client ??= open()
    const client = this.#client
    await this.#ready(client)
    const link = new Link(client)
    // WAIT counts from the last write of its own connection. What is written now comes after everything before.
    await Promise.all(
      lanes.all.map((lane: Lane) => link.run({ script: touch, keys: [lane.clock], args: lane.head('') })),
    )
    return Math.min(...(await Promise.all(client.servers().map((server) => server.wait(replicas, deadlineMs)))))
  }

  async #ready(client: ScriptClient): Promise<void> {
    const { clock, deadlineMs, lanes } = this.#options
    const end = clock.now() + deadlineMs
    while (!lanes.all.every((lane) => client.readyFor(lane.clock)) && clock.now() < end) {
      await new Promise<void>((resolve) => clock.after(5, resolve))
    }
  }
}
