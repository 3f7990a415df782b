import { createHash } from 'node:crypto'

/** A Lua script, and the name Redis knows it by once it has seen it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

export function script(...parts: readonly string[]): Script {
  const source = parts.join('\n')
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
