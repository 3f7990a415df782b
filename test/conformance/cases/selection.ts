import { type Case, fresh, type Kind, type Line, type Request, shaped } from '../case.ts'

const freshLines: readonly Line[] = [
  ['Cache-Control', 'max-age=5000'],
  ['Last-Modified', -3000],
  ['Date', 0],
]
const varying = (fields: string, extra: readonly Line[] = []): readonly Line[] => [
  ...freshLines,
  fields.includes(',') ? ['Vary', fields, false] : ['Vary', fields],
  ...extra,
]

const negotiated = (
  id: string,
  kind: Kind,
  fields: string,
  first: readonly Line[],
  second: readonly Line[],
  type: 'cached' | 'not_cached',
): Case => shaped(`vary-${id}`, kind, '4.1', { send: first, say: varying(fields) }, { send: second, type })

const foo = (value: string): Line => ['Foo', value]
const bar = (value: string): Line => ['Bar', value]
const baz: Line = ['Baz', '789']
const three = [foo('1'), bar('abc'), baz]
const languages = (value: string): readonly Line[] => [['Accept-Language', value]]

const variants: readonly Case[] = [
  negotiated('match', 'best', 'Foo', [foo('1')], [foo('1')], 'cached'),
  negotiated('no-match', 'must', 'Foo', [foo('1')], [foo('2')], 'not_cached'),
  negotiated('omit-stored', 'must', 'Foo', [], [foo('1')], 'not_cached'),
  negotiated('omit', 'must', 'Foo', [foo('1')], [], 'not_cached'),
  shaped(
    'vary-invalidate',
    'best',
    '4.1',
    { send: [foo('1')], say: varying('Foo'), text: 'foo 1' },
    { send: [foo('2')], say: varying('Foo'), text: 'foo 2', type: 'not_cached' },
    { send: [foo('1')], text: 'foo 1', type: 'cached' },
  ),
  negotiated('cache-key', 'best', 'Foo', [foo('1'), ['Other', '2']], [foo('1'), ['Other', '3']], 'cached'),
  negotiated('2-match', 'best', 'Foo, Bar', [foo('1'), bar('abc')], [foo('1'), bar('abc')], 'cached'),
  negotiated('2-no-match', 'must', 'Foo, Bar', [foo('1'), bar('abc')], [foo('2'), bar('abc')], 'not_cached'),
  negotiated('2-match-omit', 'must', 'Foo, Bar', [foo('1'), bar('abc')], [], 'not_cached'),
  negotiated('3-match', 'best', 'Foo, Bar, Baz', three, three, 'cached'),
  negotiated('3-no-match', 'must', 'Foo, Bar, Baz', three, [foo('2'), bar('abc'), baz], 'not_cached'),
  negotiated('3-order', 'must', 'Foo, Bar, Baz', three, [foo('1'), baz, bar('abcde')], 'not_cached'),
  negotiated('3-omit', 'best', 'Foo, Bar, Baz', [foo('1'), baz], [foo('1'), baz], 'cached'),
  negotiated('star', 'must', '*', [foo('1'), baz], [foo('1'), baz], 'not_cached'),
  negotiated('normalise-combine', 'best', 'Foo', [foo('1, 2')], [foo('1'), foo('2')], 'cached'),
  negotiated('normalise-space', 'best', 'Foo', [foo('1,2')], [foo(' 1, 2 ')], 'cached'),
  negotiated('normalise-lang-order', 'best', 'Accept-Language', languages('en, de'), languages('de, en'), 'cached'),
  negotiated('normalise-lang-case', 'best', 'Accept-Language', languages('en, de'), languages('eN, De'), 'cached'),
  negotiated('normalise-lang-space', 'best', 'Accept-Language', languages('en, de'), languages(' en ,   de'), 'cached'),
  shaped(
    'vary-normalise-lang-select',
    'best',
    '4.1',
    { send: languages('en, de'), say: varying('Accept-Language', [['Content-Language', 'de']]) },
    { send: languages('fr;q=0.5, de;q=1.0'), type: 'cached' },
  ),
]

const star = (id: string, ...lines: readonly string[]): Case =>
  shaped(
    `vary-syntax-${id}`,
    'must',
    '4.1',
    {
      send: [foo('1'), baz],
      say: [...freshLines, ...lines.map((line): Line => ['Vary', line, false])],
    },
    { send: [foo('1'), baz], type: 'not_cached' },
  )

const syntax: readonly Case[] = [
  star('star', '*'),
  star('star-star', '*, *'),
  star('star-star-lines', '*', '*'),
  star('empty-star', ', *'),
  star('empty-star-lines', '', '*'),
  star('star-foo', '*, Foo'),
  star('foo-star', 'Foo, *'),
]

const invalidation: readonly Case[] = ['POST', 'PUT', 'DELETE', 'M-SEARCH'].flatMap((method) => {
  const unsafe: Request = { method, body: 'abc', send: [['Content-Type', 'text/plain']] }
  return [
    shaped(`invalidate-${method}`, 'must', '4.4', fresh(), unsafe, { type: 'not_cached' }),
    shaped(`invalidate-${method}-failed`, 'best', '4.4', fresh(), { ...unsafe, status: 500 }, { type: 'cached' }),
  ]
})

export const selectionCases: readonly Case[] = [...variants, ...syntax, ...invalidation]
