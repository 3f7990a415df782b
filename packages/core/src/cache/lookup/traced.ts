import type { MaybePromise } from '../../base/maybe-promise.ts'
import { spanning, type Tracing } from '../../base/tracing/tracing.ts'
import type { Opening } from '../../exchange/exchange.ts'
import type { Lookup } from './lookup.ts'
import { lookUp, withKey } from './steps.ts'

/** A look-up with a span around it: until it is known what the request is answered with, or that it goes to its handler. */
export function tracedLookUp(tracing: Tracing, lookup: Lookup): MaybePromise<Opening> {
  const { route, method } = lookup.view
  const span = tracing.begin('lookup', { route, method })
  if (!span) return withKey(lookup, lookUp)
  lookup.span = span
  return spanning(span, () => withKey(lookup, lookUp))
}
