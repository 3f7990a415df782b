import { digest, joinParts } from '../../exchange/client/by.ts'
import { percentDecode } from '../../http/percent.ts'
import type { CacheRecord, RecordTarget } from './record.ts'

/**
 * The tags by which stores invalidate: the user's own, and those every record has because of what it answers. The
 * latter are derived from its target whenever they are needed, and stored nowhere.
 *
 * The first character of a tag is its namespace, so that no name of a user's can be taken for a URL. Long ones are
 * hashed: whoever may send a POST to any path must not decide how much memory an invalidation takes.
 */

const longest = 80

function tag(namespace: string, text: string): string {
  return text.length <= longest ? `${namespace}:${text}` : `${namespace}#${digest(text)}`
}

/** The tag every record has. */
export const everythingTag = '*'

/** A tag the user gave. The groups of RFC 9875 are such tags too, named by the handler in a field of its response. */
export function userTag(name: string): string {
  return tag('t', name)
}

/** A tag as people know it: the user's own by its name. */
export const shownTag = (tag: string): string =>
  /^t[:#]/.test(tag) ? tag.slice(2) : tag === everythingTag ? 'everything' : tag

/** Everything a record is invalidated by: its implicit tags and the user's. */
export function recordTags(record: CacheRecord): string[] {
  const tags = implicitTags(record.target)
  for (const name of record.tags) tags.push(userTag(name))
  return tags
}

/** The tags a record has because of what it answers. */
export function implicitTags(target: RecordTarget): string[] {
  const path = foldPath(target.path)
  const from = origin(target.scheme, target.authority)
  const query = target.query === undefined ? undefined : foldQuery(target.query)
  const tags = [everythingTag, pathTag(undefined, path), pathTag(from, path)]
  tags.push(queryTag(undefined, path, query), queryTag(from, path, query))
  if (target.route === undefined) return tags
  tags.push(tag('r', target.route))
  if (target.params) for (const chosen of paramTags(target.route, target.params)) tags.push(chosen)
  return tags
}

/**
 * The tags to invalidate for a URL. Without a query: every stored query of the path. With one: that query, and the
 * records of the path whose key holds only a part of the query, since nobody can tell which queries they answer.
 *
 * Without an authority, the path under every authority; without a scheme, under `http` and `https`.
 *
 * Spellings most servers treat alike (case and escapes of the path, a slash at its end, the order of the query) are
 * one here: what is invalidated beside the point is made again, what is missed is a wrong answer.
 */
export function urlTags(url: UrlTarget): string[] {
  const path = foldPath(url.path)
  const query = url.query === undefined ? undefined : foldQuery(url.query)
  const tags: string[] = []
  for (const from of origins(url)) {
    if (query === undefined) tags.push(pathTag(from, path))
    else tags.push(queryTag(from, path, query), queryTag(from, path, undefined))
  }
  return tags
}

/** A URL to invalidate. `query` is raw and without its `?`; `undefined` means all of them. */
export interface UrlTarget {
  readonly scheme?: string | undefined
  readonly authority?: string | undefined
  readonly path: string
  readonly query: string | undefined
}

/**
 * The tags to invalidate for a route: all of it, or what answers these parameters. Parameters that are not named may
 * have any value.
 */
export function routeTags(route: string, params?: RouteParams): string[] {
  const list = params ? sortedParams(params) : []
  if (list.length === 0) return [tag('r', route)]
  const exact = tag('s', joinParts([route, pairsText(list)]))
  return list.length === 1 ? [exact] : [exact, wideTag(route, list[0]!)]
}

/** Route parameters as frameworks have them. `undefined` stands for an optional one that is not there. */
export type RouteParams = Readonly<Record<string, unknown>>

/** Route parameters as `RecordTarget.params` holds them: sorted by name, each part behind its length. */
export function serializeParams(params: RouteParams): string | undefined {
  return pairsText(sortedParams(params)) || undefined
}

type Pair = readonly [name: string, value: string]

function sortedParams(params: RouteParams): Pair[] {
  return Object.entries(params)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): Pair => [name, String(value)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function pairsText(pairs: readonly Pair[]): string {
  return pairs.map(([name, value]) => `${name.length}:${name}=${value.length}:${value};`).join('')
}

/** The reverse of {@link pairsText}. Of text that it did not write, what can be read. */
function splitPairs(text: string): Pair[] {
  const pairs: Pair[] = []
  let at = 0
  const part = (): string | undefined => {
    const colon = text.indexOf(':', at)
    const length = colon < 0 ? Number.NaN : Number(text.slice(at, colon))
    if (!Number.isInteger(length) || length < 0) return undefined
    // One character ends each part: `=` a name, `;` a value.
    at = colon + 1 + length + 1
    return text.slice(colon + 1, colon + 1 + length)
  }
  while (at < text.length) {
    const name = part()
    const value = part()
    if (name === undefined || value === undefined) break
    pairs.push([name, value])
  }
  return pairs
}

/** Up to this many parameters, a record has a tag for each selection of them: at most seven. */
const mostSelections = 3

/**
 * A record with few parameters can be invalidated by any selection of them. One with more has the full set, each
 * parameter alone, and is counted in where two or more are named and one of them is the same.
 */
function* paramTags(route: string, serialized: string): Generator<string> {
  yield tag('s', joinParts([route, serialized]))
  const list = splitPairs(serialized)
  if (list.length <= 1) return
  if (list.length <= mostSelections) {
    for (let mask = 1; mask < (1 << list.length) - 1; mask++) {
      const chosen = list.filter((_, i) => mask & (1 << i))
      yield tag('s', joinParts([route, pairsText(chosen)]))
    }
    return
  }
  for (const pair of list) {
    yield tag('s', joinParts([route, pairsText([pair])]))
    yield wideTag(route, pair)
  }
}

function wideTag(route: string, pair: Pair): string {
  return tag('w', joinParts([route, ...pair]))
}

function pathTag(from: string | undefined, path: string): string {
  return tag('p', joinParts([from, path]))
}

/** Of records whose key holds the whole query: exactly that one. Of the others: any query of the path. */
function queryTag(from: string | undefined, path: string, query: string | undefined): string {
  return tag('q', joinParts([from, path, query]))
}

function origins(url: UrlTarget): (string | undefined)[] {
  if (url.authority === undefined) return [undefined]
  const schemes = url.scheme === undefined ? ['http', 'https'] : [url.scheme]
  return schemes.map((scheme) => origin(scheme, url.authority!))
}

/** Scheme and authority, case folded and without a default port (RFC 9110 §4.2.3). */
function origin(scheme: string, authority: string): string {
  const lower = scheme.toLowerCase()
  const port = lower === 'https' ? ':443' : ':80'
  const host = authority.toLowerCase()
  return `${lower}://${host.endsWith(port) ? host.slice(0, -port.length) : host}`
}

function foldPath(path: string): string {
  let folded = percentDecode(path).toLowerCase()
  while (folded.length > 1 && folded.endsWith('/')) folded = folded.slice(0, -1)
  return folded
}

function foldQuery(query: string): string {
  const plain = query.includes('+') ? query.replaceAll('+', ' ') : query
  // An escaped `&` parts too: what is invalidated beside the point is made again.
  const decoded = percentDecode(plain)
  return decoded.includes('&') ? joinParts(decoded.split('&').sort()) : decoded
}
