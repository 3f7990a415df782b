import { sfInteger, sfString, sfTokenOrString } from '../structured/serialise.ts'

/** What a cache did with a request (RFC 9211 §2). */
export interface CacheStatusParts {
  /** §2.1: answered without going forward. Excludes all that follows but `ttl`, `key` and `detail`. */
  readonly hit?: boolean | undefined
  /** §2.2: why the request went forward. */
  readonly fwd?: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial' | undefined
  /** §2.3: the status of the response it went forward for. */
  readonly fwdStatus?: number | undefined
  /** §2.4: seconds of freshness left, negative where it is stale. Rounded down. */
  readonly ttl?: number | undefined
  /** §2.5: the response was stored. */
  readonly stored?: boolean | undefined
  /** §2.6: joined with another request that was going forward. */
  readonly collapsed?: boolean | undefined
  /** §2.7: the key. It may tell secrets; only when asked for. */
  readonly key?: string | undefined
  /** §2.8: anything else, for people. */
  readonly detail?: string | undefined
}

/**
 * A member of `Cache-Status` (RFC 9211 §2), as one line: `Sluice; hit; ttl=42`. Takes any text for the names: what is no
 * token becomes a string, what is not ASCII is percent-encoded.
 *
 * @example
 * ```ts
 * cacheStatus('Sluice', { fwd: 'uri-miss', stored: true }) // 'Sluice; fwd=uri-miss; stored'
 * ```
 */
export function cacheStatus(name: string, parts: CacheStatusParts): string {
  let line = sfTokenOrString(name)
  if (parts.hit) line += '; hit'
  else {
    if (parts.fwd !== undefined) line += `; fwd=${parts.fwd}`
    if (parts.fwdStatus !== undefined) line += `; fwd-status=${whole(parts.fwdStatus)}`
  }
  if (parts.ttl !== undefined && !Number.isNaN(parts.ttl)) line += `; ttl=${whole(parts.ttl)}`
  if (!parts.hit) {
    if (parts.stored) line += '; stored'
    if (parts.collapsed) line += '; collapsed'
  }
  if (parts.key !== undefined) line += `; key=${sfString(parts.key)}`
  if (parts.detail !== undefined) line += `; detail=${sfTokenOrString(parts.detail)}`
  return line
}

const largest = 999_999_999_999_999

function whole(value: number): string {
  return sfInteger(Math.floor(Math.min(Math.max(value || 0, -largest), largest)))
}
