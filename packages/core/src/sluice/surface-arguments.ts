import { optionError } from '../base/errors.ts'
import type { Duration } from '../base/units.ts'
import type { TagSource } from '../cache/invalidation.ts'
import type { CacheOptions } from '../cache/policy/options.ts'

/** The options of `cache('5m', { … })`, `cache({ … })` and `cache()`. */
export function cacheOptions(given: readonly unknown[]): CacheOptions {
  const [first, second, ...more] = given
  if (more.length) throw optionError('cache(ttl, options)', 'takes two arguments', more[0])
  if (typeof first === 'object' && first !== null) {
    if (second !== undefined) throw optionError('cache(options)', 'takes one argument', second)
    return first as CacheOptions
  }
  if (second !== undefined && (typeof second !== 'object' || second === null)) {
    throw optionError('cache(ttl, options)', 'must be given an object of options', second)
  }
  const options = (second ?? {}) as CacheOptions
  if (first === undefined) return options
  if (options.ttl !== undefined)
    throw optionError('cache.ttl', 'must be given once: as the first argument', options.ttl)
  return { ...options, ttl: first as Duration }
}

/** @throws SluiceError unless each is a tag or a function */
export function checkSources(sources: readonly TagSource[]): readonly TagSource[] {
  for (const source of sources) {
    if (typeof source !== 'function' && (typeof source !== 'string' || source === '')) {
      throw optionError('invalidate(...tags)', 'must be given tags or functions of the response', source)
    }
  }
  return sources
}
