import { type QueryParams, rawPairs } from '../exchange/reads/query-params.ts'
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
 * @param parsed - what the key of such a cache was made of, where there is one: pairs that the application's parser does not
 *   take for parameters stand in no key
 * @param own - names that pagination writes itself
 * @param keep - the names to repeat; `undefined`: all
 */
export function keptParameters(
  query: string,
  parsed: QueryParams | undefined,
  own: readonly string[],
  keep: readonly string[] | undefined,
  watches: readonly QueryWatch[],
): string[] {
  const keeps = (name: string): boolean =>
    !own.includes(name) && (!keep || keep.includes(name)) && watches.every((watch) => watch.covers(name))
  if (parsed) {
    const pairs = [...parsed.pairs()].filter(([name]) => keeps(name))
    return pairs.map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`)
  }
  return query === '' ? [] : rawPairs(query).flatMap(({ name, pair }) => (keeps(name) ? encodePair(pair) : []))
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

/** A name or value as it may stand in a pair: what means something there is escaped too. */
function encodePart(text: string): string {
  const escaped = (character: string): string => `%${Buffer.from(character).toString('hex').replaceAll(/..\B/g, '$&%')}`
  return text.replaceAll(/[^\w.~!$'()*,;:@/?-]/gu, (character) => escaped(character).toUpperCase())
}
