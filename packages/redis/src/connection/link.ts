import { SluiceError } from '@sluice/core'
import type { RedisClient, ScriptClient } from './client.ts'
import type { Script } from './script.ts'

/** A script, the keys it touches (of one slot), and its arguments. */
export interface Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer | number)[]
}

/**
 * Runs scripts, now or not at all: a client that is not connected answers with an error at once, whatever it was told
 * to queue. Text in replies comes as buffers, numbers as numbers.
 */
export class Link {
  readonly client: ScriptClient

  constructor(client: RedisClient) {
    this.client = client as ScriptClient
  }

  get ready(): boolean {
    return this.client.status === 'ready'
  }

  /** What stands under these keys, which must share a slot. */
  read(keys: readonly string[]): Promise<(Buffer | null)[]> {
    return this.ready ? this.client.mgetBuffer(...keys) : Promise.reject(notConnected(this.client.status))
  }

  async run({ script, keys, args }: Call): Promise<unknown> {
    if (!this.ready) throw notConnected(this.client.status)
    try {
      return await this.client.evalshaBuffer(script.sha, keys.length, ...keys, ...args)
    } catch (error) {
      // Redis was restarted, its scripts were flushed, or this node has not seen this one yet. The source runs it as well.
      if (!isReply(error, 'NOSCRIPT')) throw error
      return this.client.evalBuffer(script.source, keys.length, ...keys, ...args)
    }
  }
}

/** Whether Redis itself answered with that error. */
export function isReply(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code)
}

function notConnected(status: string): SluiceError {
  return new SluiceError(
    'ERR_SLUICE_STORE',
    `There is no connection to Redis (the client is "${status}"). Sluice goes on without it and uses it as soon as it is back.`,
  )
}
