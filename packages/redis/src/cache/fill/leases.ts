import { randomBytes } from 'node:crypto'
import type { Cancel, Clock, Vacancy } from '@sluice/core'
import type { Call } from '../../connection/link.ts'
import type { Lane, LanePosition } from '../store/lanes.ts'
import { release, renew } from '../store/scripts.ts'

/** How long others go to the handler side by side after an answer that could not be shared. */
const sideBySideMs = 2_000

/** However long a handler runs, its lease is not renewed longer than this. */
const longestMs = 10 * 60_000

interface Held {
  readonly key: string
  stop: Cancel
}

export interface LeasesOptions {
  readonly clock: Clock
  readonly leaseMs: number
  /** Runs a script that nobody waits for; never rejects. */
  readonly send: (call: Call) => Promise<unknown>
}

/** The fills this process has the right to, against all others. Renewed while they run; they end with the process. */
export class Leases {
  readonly leaseMs: number
  readonly #clock: Clock
  readonly #send: LeasesOptions['send']
  readonly #owner = randomBytes(12).toString('base64url')
  readonly #held = new Map<string, Held>()
  #count = 0

  constructor({ clock, leaseMs, send }: LeasesOptions) {
    this.leaseMs = leaseMs
    this.#clock = clock
    this.#send = send
  }

  get size(): number {
    return this.#held.size
  }

  /** A token nobody has had before. */
  token(): string {
    return `${this.#owner}${(this.#count++).toString(36)}`
  }

  /** Redis has given it to us. */
  hold(token: string, key: string): void {
    const held: Held = { key, stop: () => {} }
    const until = this.#clock.now() + longestMs
    const again = (): Cancel =>
      this.#clock.after(this.leaseMs / 3, () => {
        if (this.#held.get(token) !== held || this.#clock.now() > until) return
        void this.#send({ script: renew, keys: [key], args: [token, this.leaseMs] })
        held.stop = again()
      })
    this.#held.set(token, held)
    held.stop = again()
  }

  /** The key of a lease held, for the script that gives it back in passing. */
  keyOf(token: string): string | undefined {
    return this.#held.get(token)?.key
  }

  /** It was given back. */
  drop(token: string): void {
    this.#held.get(token)?.stop()
    this.#held.delete(token)
  }

  release(token: string, ended: 'unshared' | 'given-up'): Promise<unknown> {
    const held = this.#held.get(token)
    if (!held) return Promise.resolve()
    this.drop(token)
    return this.#send({ script: release, keys: [held.key], args: [token, ended === 'unshared' ? sideBySideMs : 0] })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((token) => this.release(token, 'given-up')))
  }
}

/** What a vacancy of the Redis store carries. */
export interface FillPosition {
  readonly lane: number
  readonly epoch: string
  readonly n: number
  readonly spec: string
  /** Of the lease, where this fill has it. */
  readonly token: string | undefined
}

export function isFillPosition(value: unknown): value is FillPosition {
  const position = value as Partial<FillPosition> | null | undefined
  return typeof position === 'object' && typeof position?.epoch === 'string' && Number.isSafeInteger(position.n)
}

/** The vacancy of a place where nothing can be used, at the position a script told. */
export function vacancyAt(
  lane: Lane,
  { epoch, n }: LanePosition,
  spec: string,
  { lease, token }: Pick<Vacancy, 'lease'> & Pick<FillPosition, 'token'>,
): Vacancy {
  const position: FillPosition = { lane: lane.index, epoch, n, spec, token }
  const vacancy: Vacancy = { kind: 'vacancy', reason: spec === '' ? 'key' : 'vary', position }
  return lease === undefined ? vacancy : { ...vacancy, lease }
}

export function tokenOf(vacancy: Vacancy): string | undefined {
  return isFillPosition(vacancy.position) ? vacancy.position.token : undefined
}
