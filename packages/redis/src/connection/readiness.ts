import { type Clock, SluiceError } from '@sluice/core'
import { withDeadline } from './deadline.ts'
import type { Link } from './link.ts'
import type { Script } from './script.ts'
import { type Trouble, troubleOf, withoutSecrets } from './trouble.ts'

export interface ReadinessOptions {
  readonly clock: Clock
  readonly link: Link
  /** What is loaded into every server. */
  readonly scripts: readonly Script[]
  /** Writes to each part that is needed: whether that can be done shows no other way. */
  readonly write: () => Promise<unknown>
}

/** How long until what failed is tried again. */
const againMs = 50

/** What waiting does not mend: somebody has to change something. */
const lasting: readonly Trouble['kind'][] = ['password', 'permission', 'script']

/**
 * Resolves when Redis is connected to, has the scripts, and takes what is written.
 *
 * @throws SluiceError that says why it did not within that time; what waiting does not mend is thrown at once
 */
export async function ready(options: ReadinessOptions, timeoutMs: number): Promise<void> {
  const { clock, link } = options
  const endMs = performance.now() + timeoutMs
  let cause: unknown
  const lasts = (): boolean => cause !== undefined && lasting.includes(troubleOf(cause).kind)
  let giveUp = (): void => {}
  // What a connection failed of, its client tells nobody but those who listen.
  const failed = (error: unknown): void => {
    cause = error
    if (lasts()) giveUp()
  }
  link.client.on('error', failed)
  try {
    for (;;) {
      const leftMs = Math.max(1, Math.ceil(endMs - performance.now()))
      const hopeless = new Promise<never>((_, reject) => {
        giveUp = () => reject(cause)
      })
      try {
        await withDeadline(clock, leftMs, 'get ready', Promise.race([greet(options, leftMs), hopeless]))
        return
      } catch (error) {
        // That there is no connection, or no answer, says less than what was answered before.
        if (cause === undefined || !['unreachable', 'other'].includes(troubleOf(error).kind)) cause = error
      }
      if (lasts() || performance.now() >= endMs) throw notReady(cause, timeoutMs)
      await new Promise<void>((resolve) => clock.after(againMs, resolve))
    }
  } finally {
    link.client.off('error', failed)
  }
}

async function greet({ link, scripts, write }: ReadinessOptions, waitMs: number): Promise<void> {
  await link.connected(waitMs)
  await Promise.all(
    link.client.servers().map((server) => Promise.all(scripts.map(({ source }) => server.load(source)))),
  )
  await write()
}

function notReady(cause: unknown, timeoutMs: number): SluiceError {
  const trouble = troubleOf(cause)
  const when = lasting.includes(trouble.kind) ? 'is not ready' : `did not get ready within ${timeoutMs} ms`
  return new SluiceError('ERR_SLUICE_STORE', `Redis ${when}: ${trouble.message}`, { cause: withoutSecrets(cause) })
}
