import { isReply, type Link } from '../../connection/link.ts'

/** How much of a run's name is kept in epochs. */
export const runLength = 8

/** Where it is not known which server answers: of a Cluster, or where it may not be asked. */
export const unknownRun = '-'.repeat(runLength)

/**
 * Which run of which server is at the other end of the connection. A server that was restarted, or has taken the place of
 * another, may have lost the last that was written: what it holds of the time before cannot be believed.
 *
 * Asked once for each connection.
 */
export class ServerRun {
  readonly #link: Link
  #known: { readonly session: unknown; readonly id: string } | undefined
  #asking: { readonly session: unknown; readonly id: Promise<string> } | undefined

  constructor(link: Link) {
    this.#link = link
  }

  /** `undefined` where it has to be learnt first. */
  get id(): string | undefined {
    const { client, ready } = this.#link
    if (client.isCluster) return unknownRun
    return ready && this.#known !== undefined && this.#known.session === client.session ? this.#known.id : undefined
  }

  async learn(waitMs?: number): Promise<string> {
    const { client } = this.#link
    await this.#link.connected(waitMs)
    const { session } = client
    if (this.#asking?.session !== session || this.#asking === undefined) {
      const asking = { session, id: this.#ask() }
      this.#asking = asking
      asking.id.then(
        (id) => {
          this.#known = { session, id }
        },
        () => {
          if (this.#asking === asking) this.#asking = undefined
        },
      )
    }
    return this.#asking.id
  }

  async #ask(): Promise<string> {
    try {
      const text = await this.#link.client.info('server')
      return (/^run_id:(\w+)/m.exec(text)?.[1] ?? unknownRun).slice(0, runLength).padEnd(runLength, '-')
    } catch (error) {
      if (isReply(error, 'NOPERM')) return unknownRun
      throw error
    }
  }
}
