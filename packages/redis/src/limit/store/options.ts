import type { Clock } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import type { Link } from '../../connection/link.ts'

/** What limits in Redis are made with. */
export interface RedisLimitStoreOptions {
  readonly link: Link
  readonly clock: Clock
  readonly namespace: string
  /** How long a decision may take. Kept by the limiter, which decides without Redis then. Default 100. */
  readonly deadlineMs?: number | undefined
  /**
   * How long refusals are repeated without asking while nobody tells whether they still hold, in milliseconds; 0: never.
   * Default 1,000.
   */
  readonly unconfirmedMs?: number | undefined
  /**
   * Opens a connection to that server, to hear over it what other processes give back. The store closes it. Default: no
   * refusal is repeated for longer than `unconfirmedMs`.
   */
  readonly open?: ((server: ScriptClient) => ScriptClient) | undefined
  /** Whose time is counted by. `server` is the only one that processes share; tests bring a clock. */
  readonly time?: 'server' | 'clock' | undefined
}
