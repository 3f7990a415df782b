import type { LineOutput } from '@sluice/node'
import type { Said } from './remote.ts'

export interface Output {
  readonly out: LineOutput
  readonly error: LineOutput
}

/** Rows of names and values, the values one below the other. */
export function table(rows: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

export const line = (said: unknown): string => `${JSON.stringify(said)}\n`

const count = (value: number): string => value.toLocaleString('en')

export function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`
}

/** The figures of one process for people. @param before - the last look, and how long ago that was */
export function statsTable(said: Said, before?: { readonly said: Said; readonly ms: number }): string {
  const { cache, limits, shed, process: own } = said
  const asked = cache.hits + cache.stale + cache.coalesced + cache.misses
  const refused = Object.entries(cache.refused as Record<string, number>).sort(([, a], [, b]) => b - a)
  const policies = Object.entries(limits.policies as Record<string, { allowed: number; denied: number }>)
  return table([
    ['process', `${own.pid}, Node ${own.node}, up ${count(own.uptimeSeconds)} s, ${said.backend}`],
    ...(before ? [['since the last look', between(said, before)] as const] : []),
    ['hit rate', `${share(cache.hits + cache.stale + cache.coalesced, asked)} of ${count(asked)}`],
    ['hits', `${count(cache.hits)} fresh, ${count(cache.stale)} stale, ${count(cache.coalesced)} shared`],
    ['misses', `${count(cache.misses)}, ${count(cache.bypassed)} passed by`],
    ['stored', `${count(cache.entries)} entries, ${count(cache.bytes)} bytes, ${count(cache.evictions)} evicted`],
    ['not stored', refused.map(([reason, times]) => `${reason} ${count(times)}`).join(', ') || '-'],
    [
      'limits',
      `${count(limits.allowed)} allowed, ${count(limits.denied)} denied, ${count(limits.storeErrors)} without the store`,
    ],
    ...policies.map(
      ([name, one]) => [`  ${name}`, `${count(one.allowed)} allowed, ${count(one.denied)} denied`] as const,
    ),
    ...(shed.stages.length > 0
      ? [['shed level', shed.stages.map(({ level }: Said) => level).join(', ')] as const]
      : []),
  ])
}

function between(said: Said, { said: last, ms }: { readonly said: Said; readonly ms: number }): string {
  if (said.process.pid !== last.process.pid) return 'another process answered'
  const more = (name: string): number => said.cache[name] - last.cache[name]
  const hits = more('hits') + more('stale') + more('coalesced')
  const all = hits + more('misses')
  const denied = said.limits.denied - last.limits.denied
  return `${((all * 1_000) / ms).toFixed(1)} requests/s, ${share(hits, all)} hits, ${count(denied)} denied`
}
