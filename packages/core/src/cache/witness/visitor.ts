import { digest, joinParts } from '../../exchange/client/by.ts'
import type { TermSource, TermTexts } from '../terms/term-texts.ts'

/** The fields that clients send credentials in. */
export const credentialFields: readonly string[] = Object.freeze(['authorization', 'cookie', 'proxy-authorization'])

/**
 * Who asks, as far as the named fields tell: equal for equal credentials, and empty for a visitor without any. Hashed: it
 * is stored, and must not tell anybody's secrets.
 */
export function visitorOf(source: TermSource, texts: TermTexts, names: readonly string[]): string {
  let anybody = false
  for (const name of names) if (source.view.header(name) !== undefined) anybody = true
  if (!anybody) return ''
  const values = names.map((name) => texts.of(source, name))
  return values.every((text) => text === '-') ? '' : digest(joinParts(values))
}

/** How many credentials of one request are looked at: of more, nobody can tell whose they are. */
const mostMarks = 40

/** Names under which somebody is known again, and not counted or measured. */
const identifying = /sess|sid|auth|token|jwt|login|user|uid|remember|account|identity|csrf|xsrf/i

/**
 * The single credentials of a request, hashed: each cookie, each field. Those that are somebody's by their name begin with
 * `!`. Two requests of one visitor mostly have some in common, though not all are equal: a counter has moved on.
 */
export function marksOf({ view, policy }: TermSource, names: readonly string[]): readonly string[] {
  const marks: string[] = []
  for (const name of names) {
    const value = view.header(name)
    if (value === undefined) continue
    if (name !== 'cookie') marks.push(`!${mark(name, value)}`)
    else {
      for (const pair of value.split(';').slice(0, mostMarks)) {
        const cookie = pair.slice(0, Math.max(pair.indexOf('='), 0)).trim()
        if (policy.cookies && !policy.cookies.includes(cookie)) continue
        marks.push(`${identifying.test(cookie) ? '!' : ''}${mark(name, pair.trim())}`)
      }
    }
  }
  return marks
}

const mark = (name: string, value: string): string => digest(joinParts([name, value])).slice(0, 16)

/**
 * Whether two visitors are surely not the same: nothing that identifies is equal, and either something that identifies
 * differs, or nothing at all is equal.
 */
export function areStrangers(one: readonly string[], other: readonly string[]): boolean {
  const common = one.filter((each) => other.includes(each))
  if (common.some(isIdentifying)) return false
  return common.length === 0 || one.some(isIdentifying) || other.some(isIdentifying)
}

const isIdentifying = (one: string): boolean => one.startsWith('!')
