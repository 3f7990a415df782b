/** The greatest number of seconds a cache tells apart: 2^31 (RFC 9111 §1.2.2). */
export const maxDeltaSeconds: number = 2 ** 31

/**
 * Reads delta-seconds (RFC 9111 §1.2.2): digits and nothing else, capped at 2^31. `undefined` for anything else, such
 * as `-1`, `1.5`, `1e3` or `60s`.
 */
export function parseDeltaSeconds(text: string): number | undefined {
  return /^[0-9]+$/.test(text) ? Math.min(Number(text), maxDeltaSeconds) : undefined
}
