import { eachRead } from './each-read.ts'
import type { RequestWatch } from './request-watch.ts'

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

const unwatched = new WeakMap<object, () => object>()

/** The fields of a response, taken by ourselves: nobody has read them. */
export const fieldsSetOn = (response: Pick<FieldsOwner, 'getHeaders'>): Record<string, undefined> =>
  (unwatched.get(response)?.() ?? response.getHeaders()) as Record<string, undefined>

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
 */
export function watchSetFields(watch: RequestWatch, owner: FieldsOwner, root: string): void {
  if (unwatched.has(owner)) return
  const { getHeader, getHeaders, hasHeader, getHeaderNames } = watch.silently(() => methodsOf(owner))
  // Fastify's reply asks node's response.
  const quietly = <T>(run: () => T): T => watch.silently(run)
  unwatched.set(owner, () => quietly(() => getHeaders.call(owner)))
  const place = fieldsRoot(root)
  const before = { ...fieldsSetOn(owner) } as Values
  const note = (given: string): void => {
    const name = String(given).toLowerCase()
    if (ofFrameworks.has(name)) return
    const value = fieldText(quietly(() => getHeader.call(owner, name)))
    if (value === fieldText(before[name])) watch.value(place, [name], value)
  }
  const noteAll = (): void => {
    for (const name of Object.keys(before)) note(name)
  }
  const own = {
    getHeader(name: string): unknown {
      note(name)
      return quietly(() => getHeader.call(owner, name))
    },
    hasHeader(name: string): boolean {
      note(name)
      return quietly(() => hasHeader.call(owner, name))
    },
    getHeaders: (): object => eachRead(fieldsSetOn(owner), note, noteAll),
    ...(getHeaderNames && {
      getHeaderNames(): string[] {
        noteAll()
        return getHeaderNames.call(owner)
      },
    }),
  }
  for (const [name, value] of Object.entries(own)) {
    Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: false })
  }
}

const methodsOf = ({ getHeader, getHeaders, hasHeader, getHeaderNames }: FieldsOwner): FieldsOwner => ({
  getHeader,
  getHeaders,
  hasHeader,
  ...(getHeaderNames && { getHeaderNames }),
})
