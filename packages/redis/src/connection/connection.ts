import { SluiceError } from '@sluice/core'
import { Redis } from 'ioredis'
import type { RedisClient, ScriptClient } from './client.ts'
import { troubleOf, Warnings, withoutSecrets } from './trouble.ts'

/** Quickly again at first, then four times a second, not all processes at once: back soon after Redis is. */
const retryStrategy = (times: number): number =>
  Math.min(50 * 2 ** Math.min(times, 5), 250) * (0.75 + Math.random() / 2)

/** For connections of our own: nothing waits in a queue, and what was under way when one broke has failed. */
const ours = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  connectTimeout: 2_000,
  // What Redis says of how long it will still load its snapshot is a crude guess.
  maxLoadingRetryTime: 250,
  // A server that is gone without a word: only a new connection finds it again.
  socketTimeout: 5_000,
  retryStrategy,
  // Says what client it is, by a command that older servers do not know and users may not be allowed.
  disableClientInfo: true,
  // A replica answers after a failover: the address leads to the new master on the next attempt.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const

/** The connections of one backend: the one commands go over, and those that listen. Opened when first needed. */
export class Connection {
  readonly #target: string | RedisClient
  readonly #report: (error: SluiceError) => void
  readonly #opened = new Set<RedisClient>()
  /** Of the process, for applications that listen to no events. */
  readonly warnings = new Warnings()
  #client: ScriptClient | undefined

  /** @param report - told once per outage of a connection of ours; a client that was given to us has its own listeners */
  constructor(target: string | RedisClient, report: (error: SluiceError) => void) {
    this.#target = target
    this.#report = report
  }

  /** Ours does not gather commands by itself: what several requests ask is gathered where it is known what it is. */
  get client(): ScriptClient {
    this.#client ??=
      typeof this.#target === 'string' ? this.#own(new Redis(this.#target, ours)) : (this.#target as ScriptClient)
    return this.#client
  }

  /**
   * One more, for what keeps a connection from doing anything else: to subscribe, to wait for replicas.
   *
   * @param client - whom it should be like; a client of one server of a Cluster for a connection to just that server
   */
  another(client = this.client): ScriptClient {
    const override = { ...ours, lazyConnect: false, enableAutoPipelining: false }
    const { retryStrategy: _, ...rest } = override
    const made = client.isCluster
      ? client.duplicate([], { lazyConnect: false, enableOfflineQueue: false, redisOptions: rest })
      : client.duplicate(override)
    return this.#own(made as RedisClient)
  }

  close(): void {
    for (const client of this.#opened) client.disconnect()
  }

  #own(client: RedisClient): ScriptClient {
    let said = false
    client.on('ready', () => {
      said = false
    })
    client.on('error', (error: Error) => {
      this.warnings.note(error)
      if (said) return
      said = true
      const message = `The connection to Redis failed: ${troubleOf(error).message} Sluice goes on without it and keeps trying.`
      this.#report(new SluiceError('ERR_SLUICE_STORE', message, { cause: withoutSecrets(error) }))
    })
    this.#opened.add(client)
    client.on('end', () => this.#opened.delete(client))
    return client as ScriptClient
  }
}
