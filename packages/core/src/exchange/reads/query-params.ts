import { percentDecode } from '../../http/percent.ts'
import { canonicalText, isPlainObject } from '../client/canonical.ts'
import type { RequestView } from '../request-view.ts'

/**
 * The parameters of a query as the application's own parser has them. Parsers differ (brackets, repeated names, how many
 * they read, where a raw `#` ends the query), so that whoever parses a second time sees another request than the handler.
 */
export class QueryParams {
  readonly #names: () => Iterable<string>
  readonly #has: (name: string) => boolean
  readonly #get: (name: string) => unknown

  private constructor(names: () => Iterable<string>, has: (name: string) => boolean, get: (name: string) => unknown) {
    this.#names = names
    this.#has = has
    this.#get = get
  }

  /** `raw`: nobody has parsed it, and whoever reads it does so by himself. `undefined`: it was, into what cannot be read. */
  static of(view: RequestView): QueryParams | 'raw' | undefined {
    if (view.queryParsed === false) return 'raw'
    try {
      const parsed = view.property('query')
      return parsed === undefined || parsed === null ? 'raw' : QueryParams.#from(parsed)
    } catch {
      return undefined
    }
  }

  static #from(parsed: unknown): QueryParams | undefined {
    const kind = Object.prototype.toString.call(parsed)
    if (kind === '[object URLSearchParams]') return QueryParams.#fromList(parsed as URLSearchParams)
    if (kind === '[object Map]') {
      const map = parsed as ReadonlyMap<string, unknown>
      return new QueryParams(
        () => map.keys(),
        (name) => map.has(name),
        (name) => map.get(name),
      )
    }
    if (typeof parsed !== 'object' || parsed === null || !isPlainObject(parsed)) return undefined
    return new QueryParams(
      () => Object.keys(parsed),
      (name) => Object.hasOwn(parsed, name),
      (name) => (Object.hasOwn(parsed, name) ? parsed[name] : undefined),
    )
  }

  static #fromList(list: URLSearchParams): QueryParams {
    const get = (name: string): unknown => {
      const all = list.getAll(name)
      return all.length > 1 ? all : all[0]
    }
    return new QueryParams(
      () => new Set(list.keys()),
      (name) => list.has(name),
      get,
    )
  }

  /** One parameter: text, a list, whatever the parser makes; `undefined` where it is not there. */
  get(name: string): unknown {
    return this.#get(name)
  }

  /**
   * Text that only equal values of these parameters give, and of what belongs to them (`filter[a]`, `filter.a`);
   * `undefined` where a value has no such text.
   *
   * @param hidden - names that are left out
   */
  text(names: readonly string[], hidden: readonly string[] = []): string | undefined {
    let text = ''
    for (const name of names) {
      if (hidden.includes(name)) continue
      // A parser that knows brackets has made one object of `filter[a]` and its like.
      for (const one of [name, ...rootOf(name)]) {
        const value = this.#has(one) ? canonicalText(this.#get(one), ordered) : '-;'
        if (value === undefined) return undefined
        text += value
      }
    }
    for (const name of this.#belonging(names)) {
      const value = canonicalText([name, this.#get(name)], ordered)
      if (value === undefined) return undefined
      text += value
    }
    return text
  }

  /** All of them as pairs of a query that gives the same again: `filter[a]`, `q[]` for a list of one. */
  *pairs(): Generator<readonly [name: string, value: string]> {
    for (const name of this.#names()) yield* flat(name, this.#get(name), 0)
  }

  /** Names with brackets and dots that the parser has left as they are, in the order in which it has them. */
  #belonging(names: readonly string[]): string[] {
    const found: string[] = []
    for (const name of this.#names()) {
      if (special.test(name) && names.some((one) => isOfParameter(name, one)) && !names.includes(name)) found.push(name)
    }
    return found
  }
}

/** Deeper than any parser reads by itself. */
const deepest = 32

function* flat(name: string, value: unknown, depth: number): Generator<readonly [string, string]> {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') yield [name, String(value)]
  if (typeof value !== 'object' || value === null || depth > deepest) return
  if (Array.isArray(value)) for (const one of value) yield* flat(value.length > 1 ? name : `${name}[]`, one, depth + 1)
  else if (isPlainObject(value))
    for (const key of Object.keys(value)) yield* flat(`${name}[${key}]`, value[key], depth + 1)
}

/** Handlers that list what they were sent list it in this order. */
const ordered = Object.freeze({ ordered: true })

const special = /[[.]/

const rootOf = (name: string): readonly string[] => {
  const end = name.search(special)
  return end > 0 ? [name.slice(0, end)] : []
}

/** Whether `name` is the parameter, or belongs to it: `filter[a]` and `filter.a` are of `filter`. */
export function isOfParameter(name: string, parameter: string): boolean {
  if (!name.startsWith(parameter)) return false
  const next = name[parameter.length]
  return next === undefined || next === '[' || next === '.'
}

/** A pair of a raw query, with its name as parsers have it. */
export interface RawPair {
  readonly name: string
  readonly pair: string
}

/** The pairs of a raw query, as the URL standard takes it apart. */
export function rawPairs(query: string): RawPair[] {
  const pairs: RawPair[] = []
  // Where there are many, most are the same: short ones have few forms.
  const names = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const raw = equals < 0 ? pair : pair.slice(0, equals)
    let name = names.get(raw)
    if (name === undefined) {
      name = decoded(raw)
      names.set(raw, name)
    }
    pairs.push({ name, pair })
  }
  return pairs
}

/** The value of a pair. */
export function rawValue({ pair }: RawPair): string {
  const equals = pair.indexOf('=')
  return equals < 0 ? '' : decoded(pair.slice(equals + 1))
}

/**
 * The parameters of a query that nobody has parsed: repeated names give lists. No prototype, so any name works.
 */
export function parseQuery(query: string): Record<string, string | string[]> {
  const parsed: Record<string, string | string[]> = Object.create(null)
  for (const pair of rawPairs(query)) {
    const known = parsed[pair.name]
    if (Array.isArray(known)) known.push(rawValue(pair))
    else parsed[pair.name] = known === undefined ? rawValue(pair) : [known, rawValue(pair)]
  }
  return parsed
}

/** As forms have it: a `+` is a space. */
function decoded(text: string): string {
  return percentDecode(text.includes('+') ? text.replaceAll('+', ' ') : text)
}

/** The most parameters that every parser reads: node:querystring and qs stop there. */
const mostPairs = 1_000

/**
 * Whether parsers make different parameters of this query: some stop at a raw `#`, some after 1,000 pairs, some read `[q]`
 * and `.q` as `q`, and in the objects that some make `__proto__[q]` is found under `q`.
 */
export function isAmbiguous(query: string): boolean {
  if (query.includes('#') || countOf(query, '&') >= mostPairs) return true
  return /[[.%]/.test(query) && rawPairs(query).some(({ name }) => /^(?:[[.]|__proto__[[.])/.test(name))
}

function countOf(text: string, character: string): number {
  let count = 0
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count++
  return count
}
