import type { RequestChange } from '../../exchange/exchange.ts'
import { isOfParameter, type QueryWatch } from '../../exchange/reads/query-watch.ts'
import { onlyCookies } from '../../http/fields/cookies.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { fieldOf } from '../lookup/reply.ts'
import type { Reads } from '../terms/reads.ts'

/** What the handler can confirm a stored response by. */
export interface Validators {
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
}

/**
 * Nothing for a tag the handler never saw, nor where it was not a 200 that is stored: conditions are about that
 * (RFC 9110 §13.2.1). Frameworks derive a tag from the body alone, so that their 304 would say of a stored 404 with the
 * same text that it is still right.
 */
export function validatorsOf(stale: CacheRecord | undefined): Validators {
  if (stale?.status !== 200) return {}
  const tags = stale.ownTag ? [] : stale.forms.flatMap((form) => form.etag ?? [])
  return { etag: tags.length ? tags.join(', ') : undefined, lastModified: fieldOf(stale.fields, 'last-modified') }
}

/**
 * The request as the handler of a fill sees it: the client's own conditions are the cache's to answer, and cookies that
 * the route does not name do not exist.
 */
export function handlerRequest(lookup: Lookup, reads: Reads, validators: Validators): RequestChange {
  const { view, policy, answersConditions } = lookup
  const { cookies } = policy
  const conditions = answersConditions
    ? { 'if-none-match': validators.etag, 'if-modified-since': validators.lastModified }
    : undefined
  if (!cookies) return { fields: conditions, reads }
  return { fields: { ...conditions, cookie: onlyCookies(view.header('cookie'), cookies) }, reads, cookies }
}

/** What the stages behind are to know where the key has only a part of the query. */
export function watchParameters(names: readonly string[], reads: Reads): QueryWatch {
  const covers = (name: string): boolean => names.some((known) => isOfParameter(name, known))
  return {
    covers,
    read(name) {
      if (!covers(name)) reads.read(`?${name}`)
    },
  }
}
