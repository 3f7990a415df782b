import type { Charge, Clock, HeldBan, LimitStore } from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { Link } from '../../connection/link.ts'
import { escaped, type LimitKeys, subjectIn } from './keys.ts'
import { inCalls, keysLike } from './scan.ts'
import type { LimitScripts } from './scripts.ts'
import type { Specs } from './spec.ts'

export interface RedisBansOptions {
  readonly link: Link
  readonly clock: Clock
  readonly keys: LimitKeys
  readonly scripts: LimitScripts
  readonly specs: Specs
  /** The time to count by; empty for the server's. */
  readonly now: () => string
  /** What was known here of that charge's key does not hold any longer. */
  readonly released: (charge: Charge) => void
}

/** How long a call may take that no request waits for. */
const quietMs = 1_000

type ByHand = Parameters<NonNullable<LimitStore['ban']>>[1]

/**
 * Bans by hand, and which there are. A ban is a key of its own with an expiry, next to its subject's others. There is no list of
 * them, which in a Cluster could not be kept in the same step: who wants to see them looks through all keys of the server, in
 * pieces that hold nobody up.
 */
export class RedisBans {
  readonly #options: RedisBansOptions

  constructor(options: RedisBansOptions) {
    this.#options = options
  }

  async ban(charge: Charge, { forMs, reason }: ByHand): Promise<number> {
    return Number(await this.#call('shutOut', charge, [forMs, reason]))
  }

  async unban(charge: Charge): Promise<boolean> {
    return Number(await this.#call('letIn', charge, [])) > 0
  }

  async #call(body: 'shutOut' | 'letIn', charge: Charge, more: readonly (string | number)[]): Promise<unknown> {
    const { keys, link, now, released, scripts, specs } = this.#options
    const args = [now(), specs.of(charge).text, ...more, keys.channel]
    const call = { script: scripts.get(body, ['x']), keys: [keys.of(charge, false)], args }
    released(charge)
    const answer = await this.#inTime(link.run(call))
    // Also what was answered meanwhile from before.
    released(charge)
    return answer
  }

  async list(policies: readonly string[]): Promise<readonly HeldBan[]> {
    const { keys, link } = this.#options
    const { client } = link
    const held = new Map<string, HeldBan>()
    const glob = escaped(client.keyPrefix) + keys.bansOf(policies)
    for await (const piece of keysLike(client, glob, (answer) => this.#inTime(answer))) {
      const wanted = piece.filter((key) => keys.policyOf(key, policies) !== undefined)
      const parts = inCalls(wanted, client.isCluster)
      await Promise.all(parts.map((part) => this.#read(part, policies, held)))
    }
    return [...held.values()]
  }

  async #read(part: readonly string[], policies: readonly string[], held: Map<string, HeldBan>): Promise<void> {
    const { keys, link, now, scripts } = this.#options
    const call = { script: scripts.get('listBans', ['x']), keys: [...part], args: [now()] }
    const told = (await this.#inTime(link.run(call))) as readonly unknown[]
    for (let at = 0; at < told.length; at += 5) {
      const key = part[Number(told[at]) - 1]!
      held.set(key, {
        policy: keys.policyOf(key, policies)!,
        subject: subjectIn(key),
        endsInMs: Number(told[at + 1]),
        times: Number(told[at + 2]),
        byHand: Number(told[at + 3]) === 1,
        reason: String(told[at + 4]),
      })
    }
  }

  #inTime<T>(answer: Promise<T>): Promise<T> {
    return withDeadline(this.#options.clock, quietMs, 'look after bans', answer)
  }
}
