import { joinParts } from '../../exchange/client/by.ts'
import type { Term } from '../../exchange/reads/term.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import { preferredLanguage } from '../../http/selection/languages.ts'
import type { Variant, VariantSpec } from '../store/store.ts'
import type { TermSource, TermTexts } from '../terms/term-texts.ts'

/** Of a request's look-up, what its secondary key is made of. */
export interface Selecting extends TermSource {
  readonly texts: TermTexts
  /** What is known of the key already. */
  readonly spec?: VariantSpec | undefined
}

/**
 * The secondary key of a request (RFC 9111 §4.1): the values of everything that handlers of this key have read, the
 * fields that Vary names among it, and, where handlers encoded the body themselves, the one of the codings held that
 * this client likes best. Where answers say their language, the one that this client prefers to every other stands in
 * place of all its preferences.
 */
export function secondaryKey(request: Selecting, spec: VariantSpec): string {
  const coding =
    spec.codings.length === 0 ? undefined : bestCoding(request.view.header('accept-encoding'), codingsOf(spec))
  const selected = { coding, language: languageOf(request, spec) }
  return keyUnder(spec, selected, (term) => request.texts.of(request, term))
}

/** What a response is, beside what it depends on. */
export interface Selected {
  readonly coding: string
  /** Its `Content-Language`. */
  readonly language: string | undefined
}

/** How a response is told apart from its variants. */
export interface ToldApart extends Selected {
  readonly terms: readonly Term[]
  /** At most so many of one key are kept. */
  readonly most: number
}

/**
 * The variant a response is: the same key its own request would select, but under the coding and the language it really
 * has.
 *
 * @param text - a term's text before the handler ran
 */
export function variantOf(request: Selecting, response: ToldApart, text: (term: Term) => string): Variant {
  const { terms, coding, most } = response
  const codings = coding === 'identity' ? [] : [coding]
  const language = response.language?.toLowerCase()
  const marks = terms.includes(languageField) && language !== undefined && mayMark(language, request.spec)
  return {
    spec: { fields: marks ? [...terms, `${languageMark}${language}`] : terms, codings },
    most,
    // What this client prefers may be another language than the one it got: nobody else is to be given that for it.
    select(spec) {
      const preferred = languageOf(request, spec)
      return keyUnder(spec, { coding, language: preferred === language ? language : undefined }, text)
    },
  }
}

const languageField = 'accept-language'

/** In a spec, in front of a language that an answer was in: no field has such a name, and none is in the key for it. */
const languageMark = `${languageField}=`

/** How many languages of a key are told apart: each new one makes stores name their variants anew. */
const mostLanguages = 8

function mayMark(language: string, known: VariantSpec | undefined): boolean {
  // One tag, not a list, and not one that no language has.
  if (!/^[a-z]{2,8}(?:-[a-z0-9]{1,8})*$/.test(language)) return false
  const seen = known ? languagesOf(known) : []
  return seen.includes(language) || seen.length < mostLanguages
}

/** The terms of a spec, without the languages that stand among them. */
export function namedTerms(spec: VariantSpec): readonly Term[] {
  return spec.fields.filter((name) => !name.startsWith(languageMark))
}

function languagesOf(spec: VariantSpec): string[] {
  return spec.fields.filter((name) => name.startsWith(languageMark)).map((name) => name.slice(languageMark.length))
}

function languageOf({ view, texts }: Selecting, spec: VariantSpec): string | undefined {
  if (!spec.fields.includes(languageField)) return undefined
  const languages = languagesOf(spec)
  if (languages.length === 0) return undefined
  return preferredLanguage(texts.fieldValues.preferences(view.header(languageField)), languages)
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] => [...spec.codings, 'identity']

function keyUnder(
  spec: VariantSpec,
  { coding, language }: { readonly coding: string | undefined; readonly language: string | undefined },
  text: (term: Term) => string,
): string {
  const values: (string | undefined)[] = []
  for (const term of spec.fields) {
    if (term.startsWith(languageMark)) continue
    values.push(term === languageField && language !== undefined ? `=${language}` : text(term))
  }
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}

/** Whether two specs name the same things, whichever objects they come in. */
export function isSameSpec(a: VariantSpec, b: VariantSpec): boolean {
  return a === b || (isSameList(a.fields, b.fields) && isSameList(a.codings, b.codings))
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i])
