import type { QueryWatch } from '../exchange/reads/query-watch.ts'

/** Where the other pages are: references, as they stand in `Link`. */
export interface PageLinks {
  readonly first?: string | undefined
  readonly prev?: string | undefined
  readonly next?: string | undefined
  readonly last?: string | undefined
}

/**
 * The parameters of the request that its page links repeat: all but those of pagination, and none that a cache in front
 * leaves out of its key, for the stored links are for everybody.
 *
 * @param own - names that pagination writes itself
 * @param keep - the names to repeat; `undefined`: all
 */
export function keptParameters(
  query: string,
  own: readonly string[],
  keep: readonly string[] | undefined,
  watches: readonly QueryWatch[],
): string[] {
  if (query === '') return []
  const kept: string[] = []
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (own.includes(name) || (keep && !keep.includes(name))) continue
    if (watches.every((watch) => watch.covers(name))) kept.push(encodePair(pair))
  }
  return kept
}

/** What clients and servers in between take without asking: a longer field is left out. */
const maxFieldLength = 8_000

const relations = ['first', 'prev', 'next', 'last'] as const

/** The value of `Link` (RFC 8288 §3); `undefined` for none, and for one that would be too long. */
export function linkField(links: PageLinks): string | undefined {
  let field = ''
  for (const rel of relations) {
    const href = links[rel]
    if (href !== undefined) field += `${field === '' ? '' : ', '}<${href}>; rel="${rel}"`
  }
  return field === '' || field.length > maxFieldLength ? undefined : field
}

/** What may not stand in a reference (RFC 3986 §3.4), and `<`, `>`, `"`, which would end it in the field. */
function encodePair(pair: string): string {
  return pair.replaceAll(/[^\w.~!$&'()*+,;=:@/?%-]/gu, (character) => {
    const code = character.codePointAt(0)!
    return code < 0x100 ? `%${code.toString(16).toUpperCase().padStart(2, '0')}` : encodeURIComponent(character)
  })
}

function decode(raw: string): string {
  const spaced = raw.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
