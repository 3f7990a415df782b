import { isField, personalName, placeOf, showTerm } from '../../exchange/reads/term.ts'
import type { Refused } from './judge-reads.ts'

/** What was read, as the message names it. */
export function shownRead({ name }: Refused): string {
  if (name === '@ip') return 'the client’s address'
  return name.startsWith('?') ? `the parameter ${name.slice(1)}` : showTerm(name)
}

/** What was read, as events name it: a field, `@user`, `@session`, `@ip`, or a place such as `req.account`. */
export function eventName({ name }: Refused): string {
  if (isField(name) || name === '@ip') return name
  const place = placeOf(name)
  if (place.root === 'cookie') return 'cookie'
  return personalName(place)?.split('.')[0] ?? showTerm(name)
}

/** The line to write, for the message a developer sees: one, however much was read. */
export function adviceFor(refused: readonly Refused[]): string {
  const query = refused.filter(({ why }) => why === 'query').map(({ name }) => `'${name.slice(1)}'`)
  if (query.length) return `Add ${query.join(', ')} to the \`query\` of its cache.`
  const declare = [...new Set(refused.flatMap(declaration))]
  const ignore = refused
    .filter(({ name }) => !name.startsWith('@ip') && name !== '*')
    .map(({ name }) => ignorable(name))
  const shapes = `Write \`varyBy: ${declare.length === 1 ? declare[0] : `[${declare.join(', ')}]`}\` if it shapes the answer`
  const not = ignore.length ? `, or \`guard: { ignore: [${ignore.join(', ')}] }\` if not` : ''
  return `${shapes}${not}.`
}

function declaration({ name }: Refused): string[] {
  if (name === '@ip') return ['by.ip']
  if (isField(name)) return name === 'cookie' || name === 'authorization' ? ['by.user'] : [`'${name}'`]
  const place = placeOf(name)
  if (place.root === 'cookie') return [`by.cookie('${place.path[0]}')`]
  return personalName(place) ? ['by.user'] : [`(c) => c.native…${place.path.join('.')}`]
}

const ignorable = (name: string): string => `'${isField(name) ? name : showTerm(name).replace(/^cookie /, 'cookie.')}'`

/** Where a key has more variants than it may. */
export function adviceForVariants(terms: readonly string[]): string {
  const shown = terms.map(showTerm).join(', ')
  const first = terms.find(isField) ?? 'accept-language'
  return (
    `Its answers depend on ${shown}. Say what of it matters, such as ` +
    `\`varyBy: (c) => (c.header('${first}')?.startsWith('en') ? 'en' : 'other')\`, or raise \`maxVariants\`.`
  )
}
