import { joinParts } from '../../exchange/client/by.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import { preferredLanguage } from '../../http/selection/languages.ts'
import type { Variant, VariantSpec } from '../store/store.ts'
import type { FieldValues } from './field-values.ts'

/**
 * The secondary key of a request (RFC 9111 §4.1): the normalised values of the fields Vary names and, where handlers
 * encoded the body themselves, the one of the codings held that this client likes best. Where answers say their language,
 * the one that this client prefers to every other stands in place of all its preferences.
 */
export function secondaryKey(request: Requested, spec: VariantSpec): string {
  const coding = bestCoding(request.view.header('accept-encoding'), codingsOf(spec))
  return keyUnder(request, spec, { coding, language: languageOf(request, spec) })
}

/** Whose variants: a look-up, say. */
export interface Requested {
  readonly core: { readonly fieldValues: FieldValues }
  readonly view: RequestView
  /** What is known of the key already. */
  readonly spec?: VariantSpec | undefined
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
 */
export function variantOf(request: Requested, fields: readonly string[], response: Selected): Variant {
  const { coding } = response
  const codings = coding === 'identity' ? [] : [coding]
  const language = response.language?.toLowerCase()
  const marks = fields.includes(languageField) && language !== undefined && mayMark(language, request.spec)
  return {
    spec: { fields: marks ? [...fields, `${languageMark}${language}`] : fields, codings },
    // What this client prefers may be another language than the one it got: nobody else is to be given that for it.
    select: (spec) =>
      keyUnder(request, spec, { coding, language: languageOf(request, spec) === language ? language : undefined }),
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

function languageOf({ core, view }: Requested, spec: VariantSpec): string | undefined {
  if (!spec.fields.includes(languageField)) return undefined
  const languages = languagesOf(spec)
  if (languages.length === 0) return undefined
  return preferredLanguage(core.fieldValues.preferences(view.header(languageField)), languages)
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] =>
  spec.codings.length ? [...spec.codings, 'identity'] : spec.codings

function keyUnder(
  { core, view }: Requested,
  spec: VariantSpec,
  { coding, language }: { readonly coding: string | undefined; readonly language: string | undefined },
): string {
  const values: (string | undefined)[] = []
  for (const field of spec.fields) {
    if (field.startsWith(languageMark)) continue
    const isLanguage = field === languageField && language !== undefined
    values.push(isLanguage ? `=${language}` : core.fieldValues.normalise(field, view.header(field)))
  }
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}

/** Whether two specs name the same things, whichever objects they come in. */
export function isSameSpec(a: VariantSpec, b: VariantSpec): boolean {
  return a === b || (isSameList(a.fields, b.fields) && isSameList(a.codings, b.codings))
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i])
