/**
 * What a handler can read of a request, each under a name that means the same in every process: the terms of a secondary
 * key. Three kinds, told apart by their first character, which no field name has:
 *
 *     accept-language            a request field, in lower case; `*` for all of them
 *     @cookie/theme              one cookie of the Cookie field
 *     @req/session/user          a value on an object of the framework's: `req.session.user`
 */
export type Term = string

/** A place on an object of the framework's: the object's name, and the way to the value. */
export interface Place {
  readonly root: string
  /** Property names; one that begins with a NUL is the description of a symbol. */
  readonly path: readonly string[]
  /** Not the value there is meant but the names of what stands in it. */
  readonly names: boolean
}

/** The term of a value on one of the framework's objects. */
export function inputTerm(root: string, path: readonly string[]): Term {
  return [`@${root}`, ...path.map(encode)].join('/')
}

/** The term of the names of all that stands at a place. */
export const namesTerm = (root: string, path: readonly string[]): Term => `${inputTerm(root, path)}/*`

/** The term of one cookie. */
export const cookieTerm = (name: string): Term => inputTerm('cookie', [name])

export const isField = (term: Term): boolean => !term.startsWith('@')

export function placeOf(term: Term): Place {
  const [root = '', ...path] = term.slice(1).split('/')
  const names = path.at(-1) === '*'
  if (names) path.pop()
  return { root, path: path.map(decode), names }
}

/** How a property is named in a path. */
export function segmentOf(key: string | symbol): string {
  return typeof key === 'string' ? key : `\0${key.description ?? ''}`
}

/** The property a segment names on this object; a symbol is found by its description. */
export function keyOf(object: object, segment: string): string | symbol {
  if (segment.charCodeAt(0) !== 0) return segment
  const description = segment.slice(1)
  for (let at: object | null = object; at; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertySymbols(at).find((symbol) => symbol.description === description)
    if (found) return found
  }
  return segment
}

/** For people: `req.session.user`, `cookie theme`, `accept-language`. */
export function showTerm(term: Term): string {
  if (isField(term)) return term === '*' ? 'all request fields' : term
  const { root, path, names } = placeOf(term)
  const shown = path.map((segment) => (segment.charCodeAt(0) === 0 ? `[Symbol(${segment.slice(1)})]` : segment))
  if (root === 'cookie') return `cookie ${shown[0]}`
  return [root, ...shown, ...(names ? ['*'] : [])].join('.')
}

const encode = (segment: string): string =>
  segment === '' ? '%' : segment.replace(/[%/*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)
const decode = (segment: string): string =>
  segment === '%'
    ? ''
    : segment.replace(/%(2[5fa])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** Where authentication and sessions leave whom they found. Below these names a value that is set is somebody's. */
const personal: Readonly<Record<string, '@user' | '@session'>> = Object.freeze({
  user: '@user',
  auth: '@user',
  session: '@session',
})

/**
 * What key functions call the same thing (`@user.plan` for `c.user.plan`); `undefined` for what is nobody's.
 *
 * @param place - of an input
 */
export function personalName({ path }: Pick<Place, 'path'>): string | undefined {
  const [first, ...rest] = path
  const whose = first !== undefined && Object.hasOwn(personal, first) ? personal[first] : undefined
  return whose && [whose, ...rest].join('.')
}
