import { checkOptions, rule } from '../../base/options.ts'

/** What `sluice.fields(...)` is given. */
export interface FieldsOptions {
  /** The name of the query parameter. Default `'fields'`. */
  param?: string | undefined
  /** How many levels a selection may reach down. Default `4`. */
  maxDepth?: number | undefined
  /** How many characters it may have. Default `512`. */
  maxLength?: number | undefined
  /** The member of the body that selections are about, where that is an envelope: `'data'`. Default: the whole body. */
  at?: string | undefined
  /**
   * What a cache keeps. `trimmed`: the answer as it is sent, one entry for each selection; mount it behind the cache.
   * `whole`: the whole answer once, which is trimmed on each hit; mount it in front of the cache, whose key then leaves
   * the parameter out. Default `'trimmed'`.
   */
  store?: 'trimmed' | 'whole' | undefined
}

/** The options, resolved once. */
export interface FieldsPolicy {
  readonly param: string
  readonly maxDepth: number
  readonly maxLength: number
  readonly at: string | undefined
  readonly store: 'trimmed' | 'whole'
}

/** @throws SluiceError when an option is wrong */
export function resolveFieldsPolicy(options: FieldsOptions = {}): FieldsPolicy {
  checkOptions<FieldsOptions>('fields', options, {
    param: (v) =>
      typeof v === 'string' && /^[\w.-]+$/.test(v) ? undefined : 'must be a name of letters, digits, ., _ and -',
    maxDepth: rule.positiveInteger,
    maxLength: rule.positiveInteger,
    at: rule.string,
    store: rule.oneOf('trimmed', 'whole'),
  })
  const { param = 'fields', maxDepth = 4, maxLength = 512, at, store = 'trimmed' } = options
  return Object.freeze({ param, maxDepth, maxLength, at, store })
}
