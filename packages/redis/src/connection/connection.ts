import { SluiceError } from '@sluice/core'
import type { RedisClient, ScriptClient } from './client.ts'
import { adapt } from './clients/adapt.ts'
import { openIoredis, openIoredisCluster } from './clients/ioredis.ts'
import { troubleOf, Warnings, withoutSecrets } from './trouble.ts'

/** The connections of one backend: the one commands go over, and those that listen. Opened when first needed. */
export class Connection {
  readonly #target: string | RedisClient
  readonly #isCluster: boolean
  readonly #report: (error: SluiceError) => void
  readonly #opened = new Set<ScriptClient>()
  /** Of the process, for applications that listen to no events. */
  readonly warnings = new Warnings()
  #client: ScriptClient | undefined

  /**
   * @param report - told once per outage of a connection of ours; a client that was given to us has its own listeners
   * @param isCluster - whether a URL names a node of a Cluster
   */
  constructor(target: string | RedisClient, report: (error: SluiceError) => void, isCluster = false) {
    this.#target = target
    this.#isCluster = isCluster
    this.#report = report
  }

  /** Over which commands go: one of our own for a URL, or the one that was given to us. */
  get client(): ScriptClient {
    this.#client ??= this.#open()
    return this.#client
  }

  /** One more, for what keeps a connection from doing anything else: to wait for replicas. */
  another(): ScriptClient {
    return this.#own(this.client.another())
  }

  /**
   * One more, to listen.
   *
   * @param server - of a Cluster, for a connection to just that one
   */
  listener(server = this.client): ScriptClient {
    return this.#own(server.listener())
  }

  close(): void {
    for (const client of this.#opened) client.close()
    this.#client?.close()
  }

  #open(): ScriptClient {
    const target = this.#target
    if (typeof target !== 'string') return adapt(target)
    return this.#own(this.#isCluster ? openIoredisCluster(target) : openIoredis(target))
  }

  #own(client: ScriptClient): ScriptClient {
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
    return client
  }
}
