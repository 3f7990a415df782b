import { maxDeltaSeconds, parseDeltaSeconds } from '../fields/delta-seconds.ts'
import { isToken, splitList, splitParameters, trimOws, unquote } from '../fields/lists.ts'

/** The directives of a `Cache-Control` field, or of a targeted one (RFC 9111 §5.2, RFC 9213). Names in lower case. */
export interface CacheControl {
  /** Whether the directive is there, with an argument or without. */
  has(directive: string): boolean
  /**
   * The directive's argument in seconds, at most 2^31. `undefined` where it is absent; 0 (stale) where it is not a
   * number of seconds (RFC 9111 §4.2.1). Of several the smallest, whatever their order.
   *
   * Two directives of requests read the other way round, so that here too the outcome is the stricter one: of several
   * `min-fresh` the largest counts, and `max-stale` without an argument is the largest number (any staleness, §5.2.1.2).
   */
  seconds(directive: string): number | undefined
  /**
   * The field names of a qualified directive (`no-cache="a, b"`, RFC 9111 §5.2.2.4), in lower case. `undefined` where it
   * is absent, or where any of it is unqualified or unreadable and so speaks of the whole response.
   */
  fieldNames(directive: string): readonly string[] | undefined
  /** Whether these come from a targeted field (RFC 9213) and not from `Cache-Control`. */
  readonly targeted: boolean
}

/** One occurrence of a directive. `argument` is `undefined` where it has none, `null` where it cannot be read. */
export interface Directive {
  readonly name: string
  readonly argument: string | null | undefined
}

/**
 * Reads a `Cache-Control` value (RFC 9111 §5.2). Never fails: what cannot be read is read strictly.
 *
 * Names are case-insensitive and arguments may be tokens or quoted-strings (§5.2). A `;` where a comma belongs still
 * shows the directives behind it, because a `private` that is overlooked leaks, but no argument in such a member counts.
 *
 * @example
 * ```ts
 * const cc = parseCacheControl('Max-Age="60", no-cache="set-cookie"')
 * cc.seconds('max-age')      // 60
 * cc.fieldNames('no-cache')  // ['set-cookie']
 * ```
 */
export function parseCacheControl(value: string | undefined): CacheControl {
  if (value === undefined || value === '') return cacheControlOf([])
  return cacheControlOf(splitList(value).flatMap(directivesOf))
}

function directivesOf(member: string): Directive[] {
  const pieces = member.includes(';') ? splitParameters(member) : [member]
  return pieces.map((piece) => {
    const equals = piece.indexOf('=')
    const name = (equals < 0 ? piece : trimOws(piece.slice(0, equals))).toLowerCase()
    if (equals < 0) return { name, argument: pieces.length > 1 ? null : undefined }
    // No whitespace around the `=` (§5.2): what was meant is a guess, and a guess must not make anything fresh.
    const raw = piece.slice(equals + 1)
    const sound = pieces.length === 1 && equals === name.length && raw !== '' && trimOws(raw) === raw
    return { name, argument: sound ? (unquote(raw) ?? null) : null }
  })
}

/** Makes directives that were read elsewhere answer as those of `Cache-Control` do. */
export function cacheControlOf(list: readonly Directive[], targeted = false): CacheControl {
  const byName = new Map<string, (string | null | undefined)[]>()
  for (const { name, argument } of list) {
    const known = byName.get(name)
    if (known) known.push(argument)
    else byName.set(name, [argument])
  }
  return {
    targeted,
    has: (directive) => byName.has(directive.toLowerCase()),
    seconds(directive) {
      const name = directive.toLowerCase()
      const all = byName.get(name)?.map((argument) => {
        if (argument === undefined && name === 'max-stale') return maxDeltaSeconds
        return typeof argument === 'string' ? (parseDeltaSeconds(argument) ?? 0) : 0
      })
      // RFC 9111 §4.2.1: of conflicting values, the most restrictive.
      return all && (name === 'min-fresh' ? Math.max(...all) : Math.min(...all))
    },
    fieldNames(directive) {
      const all = byName.get(directive.toLowerCase())
      if (!all) return undefined
      const names = new Set<string>()
      for (const argument of all) {
        const members = typeof argument === 'string' ? splitList(argument) : []
        if (members.length === 0 || !members.every(isToken)) return undefined
        for (const member of members) names.add(member.toLowerCase())
      }
      return [...names]
    },
  }
}
