import { eachRead } from '@sluice/core'
import type { RequestWatch } from './request-watch.ts'
import { type SeenFields, stateOf } from './state.ts'

/** Something that response fields are set on: node's response, Fastify's reply. */
export interface FieldsOwner {
  getHeader(name: string): unknown
  getHeaders(): object
  hasHeader(name: string): boolean
  getHeaderNames?(): string[]
}

type Values = Readonly<Record<string, unknown>>

/** Which every framework looks at itself before it sends an answer; what middleware says by them is nobody's input. */
const ofFrameworks: ReadonlySet<string> = new Set(
  (
    'content-type content-length content-encoding content-range transfer-encoding etag last-modified vary cache-control ' +
    'date expires connection keep-alive set-cookie accept-ranges trailer upgrade cdn-cache-control cache-status'
  ).split(' '),
)

/** The fields of a response, taken by ourselves: nobody has read them. */
export const fieldsSetOn = (response: Pick<FieldsOwner, 'getHeaders'>): Record<string, undefined> =>
  (stateOf(response)?.fields?.all() ?? response.getHeaders()) as Record<string, undefined>

/** How the terms call these fields. */
export const fieldsRoot = (root: string): string => `${root}.getHeaders()`

/** The fields of a response as terms have them: a text each, under names in lower case. */
export function fieldTexts(response: Pick<FieldsOwner, 'getHeaders'>): object {
  const texts = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(fieldsSetOn(response))) texts[name] = fieldText(value)!
  return texts
}

/** The lines of a field as one text. */
export const fieldText = (value: unknown): string | undefined =>
  value === undefined ? undefined : Array.isArray(value) ? value.join(', ') : String(value)

/**
 * Tells of fields that middleware in front has put on a response (a tenant, a request's id) and a handler reads there. What was
 * set since is the handler's own.
 *
 * @param owner - one that is watched
 */
export function watchSetFields(watch: RequestWatch, owner: FieldsOwner, root: string): void {
  const state = stateOf(owner)
  if (!state || state.fields) return
  const replaced = names.filter((name) => Object.hasOwn(owner, name))
  const fields = new SetFields(watch, owner, fieldsRoot(root), methodsOf(owner, state.behind as FieldsOwner))
  state.fields = fields
  for (const name of replaced) {
    const value = (field: string): unknown => fields[name](field)
    Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: false })
  }
}

const names = ['getHeader', 'getHeaders', 'hasHeader', 'getHeaderNames'] as const

type Methods = Pick<FieldsOwner, (typeof names)[number]>

/** Those of the response itself, or of the prototype that is stood in for. */
const methodsOf = (owner: FieldsOwner, behind: FieldsOwner): Methods =>
  Object.fromEntries(
    names.map((name) => [name, Object.hasOwn(owner, name) ? owner[name] : behind[name]]),
  ) as unknown as Methods

/**
 * Puts the methods that tell of reads on what stands in for the prototype of a response. Not on each response: what is added there is
 * dear where a framework has changed it.
 *
 * @returns what it answers there itself
 */
export function watchSetFieldsBelow(below: object, prototype: object): readonly string[] {
  const methods = prototype as FieldsOwner
  const present = names.filter((name) => typeof methods[name] === 'function')
  if (!present.includes('getHeaders')) return []
  for (const name of present) {
    const value = function (this: FieldsOwner, field: string): unknown {
      const fields = stateOf(this)?.fields
      return fields ? fields[name](field) : (methods[name] as (field: string) => unknown).call(this, field)
    }
    Object.defineProperty(below, name, { value, configurable: true, writable: true })
  }
  return present
}

/** The fields that are on a response when it begins to be watched, and who reads them. */
class SetFields implements SeenFields {
  readonly #watch: RequestWatch
  readonly #owner: FieldsOwner
  readonly #place: string
  readonly #methods: Methods
  readonly #before: Values

  constructor(watch: RequestWatch, owner: FieldsOwner, place: string, methods: Methods) {
    this.#watch = watch
    this.#owner = owner
    this.#place = place
    this.#methods = methods
    this.#before = { ...this.all() } as Values
  }

  all(): object {
    // Fastify's reply asks node's response.
    return this.#watch.silently(() => this.#methods.getHeaders.call(this.#owner))
  }

  getHeader(name: string): unknown {
    this.#note(name)
    return this.#watch.silently(() => this.#methods.getHeader.call(this.#owner, name))
  }

  hasHeader(name: string): boolean {
    this.#note(name)
    return this.#watch.silently(() => this.#methods.hasHeader.call(this.#owner, name))
  }

  getHeaders(): object {
    return eachRead(
      this.all(),
      (name) => this.#note(name),
      () => this.#noteAll(),
    )
  }

  getHeaderNames(): string[] {
    this.#noteAll()
    return this.#methods.getHeaderNames!.call(this.#owner)
  }

  #note(given: string): void {
    const name = String(given).toLowerCase()
    if (ofFrameworks.has(name)) return
    const value = fieldText(this.#watch.silently(() => this.#methods.getHeader.call(this.#owner, name)))
    if (value === fieldText(this.#before[name])) this.#watch.value(this.#place, [name], value)
  }

  #noteAll(): void {
    for (const name of Object.keys(this.#before)) this.#note(name)
  }
}
