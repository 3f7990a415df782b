import type { Clock } from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { Link } from '../../connection/link.ts'
import { escaped, type LimitKeys, subjectIn } from './keys.ts'
import { inCalls, keysLike } from './scan.ts'
import { forget } from './scripts.ts'

export interface ForgetAllOptions {
  readonly link: Link
  readonly clock: Clock
  readonly keys: LimitKeys
  /** What was known here of that key does not hold any longer. */
  readonly released: (key: string) => void
}

/** How long a piece may take. No request waits for it. */
const pieceMs = 1_000

/**
 * Forgets what all subjects of a policy have used, or that one; of how many there was something. Looks through all keys of the
 * server, in pieces that hold nobody up: for the hand of an operator.
 */
export async function forgetAll(
  { link, clock, keys, released }: ForgetAllOptions,
  policy: string,
  subject: string | undefined,
): Promise<number> {
  const subjects = new Set<string>()
  const { client } = link
  const inTime = <T>(answer: Promise<T>): Promise<T> => withDeadline(clock, pieceMs, 'reset', answer)
  const glob = escaped(client.keyPrefix) + keys.allOf(policy, subject)
  for await (const piece of keysLike(client, glob, inTime)) {
    for (const key of piece) released(key)
    for (const part of inCalls(piece, client.isCluster)) {
      const gone = await inTime(link.run({ script: forget, keys: part, args: [keys.channel] }))
      if (Number(gone) > 0) for (const key of part) subjects.add(subjectIn(key))
    }
  }
  return subjects.size
}
