import { distance } from 'fastest-levenshtein'
import { optionError, SluiceError, show } from './errors.ts'

/** What an option's value must satisfy: returns the clause for the message where it does not. `path`: where it was found. */
export type Rule = (value: unknown, path?: string) => string | undefined

/** Where an options object is checked: every key it may have, each with the rule its value must keep. */
export type Schema<T> = { readonly [K in keyof Required<T>]: Rule }

/**
 * Checks an options object that a user gave: it must be a plain object, hold no unknown key, and keep every rule.
 * A key that holds `undefined` counts as absent.
 *
 * @param where - the path of the object, for the messages: `cache`, or `''` for the outermost
 * @throws SluiceError `ERR_SLUICE_OPTION`, naming the option, the rule, the value and, for an unknown key, the nearest
 *   known one
 */
export function checkOptions<T extends object>(where: string, options: T, schema: Schema<T>): void {
  const at = where || 'options'
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw optionError(at, 'must be an object', options)
  }
  for (const [key, value] of Object.entries(options)) {
    const path = where ? `${where}.${key}` : key
    if (!Object.hasOwn(schema, key)) throw unknownOption(path, key, Object.keys(schema))
    if (value === undefined) continue
    const broken = (schema as Record<string, Rule>)[key]!(value, path)
    if (broken) throw optionError(path, broken, value)
  }
}

function unknownOption(path: string, key: string, known: readonly string[]): SluiceError {
  return new SluiceError('ERR_SLUICE_OPTION', `There is no option \`${path}\`. ${suggest(key, known)}`)
}

/** `Did you mean …?` where a known name is near, else the list of them. */
export function suggest(name: string, known: readonly string[]): string {
  const nearest = known
    .map((k) => ({ k, d: distance(name.toLowerCase(), k.toLowerCase()) }))
    .sort((a, b) => a.d - b.d)[0]
  if (nearest && nearest.d <= Math.max(2, Math.floor(name.length / 3))) return `Did you mean \`${nearest.k}\`?`
  return known.length ? `Known: ${known.map((k) => `\`${k}\``).join(', ')}.` : 'There is none.'
}

/** The rules most options are made of. */
export const rule = {
  any: (): undefined => undefined,
  boolean: (value: unknown) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  function: (value: unknown) => (typeof value === 'function' ? undefined : 'must be a function'),
  string: (value: unknown) => (typeof value === 'string' && value !== '' ? undefined : 'must be a non-empty string'),
  strings: (value: unknown) =>
    Array.isArray(value) && value.every((v) => typeof v === 'string' && v !== '')
      ? undefined
      : 'must be an array of non-empty strings',
  object: (value: unknown) => (typeof value === 'object' && value !== null ? undefined : 'must be an object'),
  positiveInteger: (value: unknown) =>
    Number.isSafeInteger(value) && (value as number) > 0 ? undefined : 'must be a whole number above 0',
  fraction: (value: unknown) =>
    typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'must be a number from 0 to 1',
  oneOf:
    (...allowed: readonly unknown[]): Rule =>
    (value) =>
      allowed.includes(value) ? undefined : `must be one of ${allowed.map(show).join(', ')}`,
  either:
    (...rules: readonly Rule[]): Rule =>
    (value) => {
      const broken = rules.map((r) => r(value))
      return broken.includes(undefined)
        ? undefined
        : broken.map((b, i) => (i ? b!.replace(/^must be /, '') : b)).join(', or ')
    },
  /**
   * A value some function can read: what it throws says more than a rule could, so it is let through.
   *
   * @param option - what the message calls it; by default the path it was found at
   */
  readableBy:
    (read: (option: string, value: never) => unknown, option?: string): Rule =>
    (value, path) => {
      read(option || path || '', value as never)
      return undefined
    },
}

/** What can be guessed in no time is no secret. Bytes. */
const leastSecretBytes = 16

/**
 * Never shows the secret itself.
 *
 * @throws SluiceError for one that is too short
 */
export function checkSecret(option: string, secret: string | undefined): void {
  if (secret === undefined || Buffer.byteLength(secret) >= leastSecretBytes) return
  const rule = `must be at least ${leastSecretBytes} bytes long, such as \`openssl rand -base64 32\` makes`
  throw new SluiceError(
    'ERR_SLUICE_OPTION',
    `Option \`${option}\` ${rule}; received ${Buffer.byteLength(secret)} bytes.`,
  )
}
