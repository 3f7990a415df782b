import compressible from 'compressible'
import { optionError } from '../base/errors.ts'

/** Content types, as options name them. */
export type TypeMatch = readonly string[] | RegExp | ((type: string) => boolean)

/** How many types are remembered: an application has a handful, a client that can choose them has no say in the cost. */
const remembered = 200

/**
 * Whether bodies of a content type shrink, by the value of its field.
 *
 * @throws SluiceError for what is no {@link TypeMatch}
 */
export function typeMatcher(types: TypeMatch | undefined): (contentType: string | undefined) => boolean {
  const matches = matcherOf(types)
  const known = new Map<string, boolean>()
  return (contentType) => {
    if (contentType === undefined) return false
    let answer = known.get(contentType)
    if (answer === undefined) {
      answer = matches(bareType(contentType))
      if (known.size < remembered) known.set(contentType, answer)
    }
    return answer
  }
}

/** Without parameters, in lower case. */
export function bareType(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase()
}

function matcherOf(types: TypeMatch | undefined): (type: string) => boolean {
  if (types === undefined) return (type) => compressible(type) === true
  if (typeof types === 'function') return (type) => types(type) === true
  // A global pattern would remember where it stopped.
  if (types instanceof RegExp) return (type) => new RegExp(types.source, types.flags.replace(/[gy]/g, '')).test(type)
  if (!Array.isArray(types) || !types.every((type) => typeof type === 'string' && /^[^\s/;]+\/[^\s/;]+$/.test(type))) {
    throw optionError('compress.types', "must be an array of types such as 'text/*', a pattern or a function", types)
  }
  const names = types.map((type) => type.toLowerCase())
  return (type) => names.includes(type) || names.includes(`${type.split('/', 1)[0]}/*`) || names.includes('*/*')
}
