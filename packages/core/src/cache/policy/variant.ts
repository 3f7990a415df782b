import { joinParts } from '../../exchange/client/by.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { normaliseFieldValue } from '../../http/caching/vary.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import { preferredLanguage } from '../../http/selection/languages.ts'
import type { Variant, VariantSpec } from '../store/store.ts'

/**
 * The secondary key of a request (RFC 9111 §4.1): the normalised values of the fields Vary names and, where handlers
 * encoded the body themselves, the one of the codings held that this client likes best. Where answers say their language,
 * the one that this client prefers to every other stands in place of all its preferences.
 */
export function secondaryKey(view: RequestView, spec: VariantSpec): string {
  const coding = bestCoding(view.header('accept-encoding'), codingsOf(spec))
  return keyUnder(view, spec, { coding, language: languageOf(view, spec) })
}

/** What a response is, beside the fields that it depends on. */
export interface Selected {
  readonly coding: string
  /** Its `Content-Language`. */
  readonly language: string | undefined
}

/**
 * The variant a response is: the same key its own request would select, but under the coding and the language it really
 * has.
 *
 * @param known - what is known of the key already
 */
export function variantOf(
  view: RequestView,
  fields: readonly string[],
  response: Selected,
  known?: VariantSpec,
): Variant {
  const { coding } = response
  const codings = coding === 'identity' ? [] : [coding]
  const language = response.language?.toLowerCase()
  const marks = fields.includes(languageField) && language !== undefined && mayMark(language, known)
  return {
    spec: { fields: marks ? [...fields, `${languageMark}${language}`] : fields, codings },
    // What this client prefers may be another language than the one it got: nobody else is to be given that for it.
    select: (spec) =>
      keyUnder(view, spec, { coding, language: languageOf(view, spec) === language ? language : undefined }),
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

function languagesOf(spec: VariantSpec): string[] {
  return spec.fields.filter((name) => name.startsWith(languageMark)).map((name) => name.slice(languageMark.length))
}

function languageOf(view: RequestView, spec: VariantSpec): string | undefined {
  if (!spec.fields.includes(languageField)) return undefined
  const languages = languagesOf(spec)
  return languages.length === 0 ? undefined : preferredLanguage(view.header(languageField), languages)
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] =>
  spec.codings.length ? [...spec.codings, 'identity'] : spec.codings

function keyUnder(
  view: RequestView,
  spec: VariantSpec,
  { coding, language }: { readonly coding: string | undefined; readonly language: string | undefined },
): string {
  const values: (string | undefined)[] = []
  for (const field of spec.fields) {
    if (field.startsWith(languageMark)) continue
    const isLanguage = field === languageField && language !== undefined
    values.push(isLanguage ? `=${language}` : normaliseFieldValue(view.header(field), field))
  }
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}

/** Whether two specs name the same things, whichever objects they come in. */
export function isSameSpec(a: VariantSpec, b: VariantSpec): boolean {
  return a === b || (isSameList(a.fields, b.fields) && isSameList(a.codings, b.codings))
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i])
