import type { ScriptClient } from '../../connection/client.ts'
import { subjectIn } from './keys.ts'

/** How many keys Redis looks at in one piece, while it does nothing else. */
const keysPerPiece = 1_000

/** How many keys a call touches that no request waits for: Redis does nothing else meanwhile. */
export const keysPerCall = 200

/**
 * The keys that look like `glob`, in pieces, without the client's own prefix: of all masters of a Cluster. One that is there
 * from beginning to end comes at least once.
 *
 * @param inTime - what each piece has to be fetched in
 */
export async function* keysLike(
  client: ScriptClient,
  glob: string,
  inTime: <T>(answer: Promise<T>) => Promise<T>,
): AsyncGenerator<readonly string[]> {
  const prefix = client.keyPrefix
  for (const server of client.servers()) {
    let cursor = '0'
    do {
      const [next, keys] = await inTime(server.scan(cursor, glob, keysPerPiece))
      if (keys.length > 0) yield keys.map((key) => key.slice(prefix.length))
      cursor = next
    } while (cursor !== '0')
  }
}

/** As a script can forget them at once: of one slot in a Cluster, and not too many. */
export function inCalls(keys: readonly string[], cluster: boolean): string[][] {
  const parts: string[][] = []
  for (const key of keys) {
    const last = parts.at(-1)
    if (last && last.length < keysPerCall && (!cluster || subjectIn(last[0]!) === subjectIn(key))) last.push(key)
    else parts.push([key])
  }
  return parts
}
