import { createHash } from 'node:crypto'

/** A Lua script, and the name Redis knows it by once it has seen it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** Shows whether what is asked would be written, and leaves nothing. KEYS: one where that matters. */
export const tryOut: Script = script(`return redis.call('SET', KEYS[1], '', 'PX', 1000)`)

export function script(...parts: readonly string[]): Script {
  const source = parts.join('\n')
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
