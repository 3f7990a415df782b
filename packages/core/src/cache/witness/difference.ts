import type { CacheRecord } from '../entry/record.ts'

/** Where two answers to one key differ. */
export interface Difference {
  /** `status`, `body`, or a field's name. */
  readonly what: string
  /** The first byte of the body that differs. */
  readonly at?: number | undefined
}

/** What caches further on are told of the two differs with what is known of them, and says nothing of their content. */
const advertised: ReadonlySet<string> = new Set(['cache-control', 'cdn-cache-control', 'vary'])

/** Compares what was stored with what another visitor was given. `undefined`: they are the same. */
export function differenceOf(one: CacheRecord, other: CacheRecord): Difference | undefined {
  if (one.status !== other.status) return { what: 'status' }
  const [a, b] = [linesOf(one.fields), linesOf(other.fields)]
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(name) !== b.get(name)) return { what: name }
  }
  const [x, y] = [one.forms[0]!, other.forms[0]!]
  // The handler encodes it: bytes can be compared under one coding alone.
  if (x.coding !== y.coding) return { what: 'content-encoding' }
  if (Buffer.compare(x.body, y.body) === 0) return undefined
  const shorter = Math.min(x.body.byteLength, y.body.byteLength)
  let at = 0
  while (at < shorter && x.body[at] === y.body[at]) at++
  return { what: 'body', at }
}

function linesOf(fields: readonly string[]): Map<string, string> {
  const lines = new Map<string, string>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (!advertised.has(name)) lines.set(name, `${lines.get(name) ?? ''}\n${fields[i + 1]}`)
  }
  return lines
}
