import type { ResponseControl } from './exchange.ts'

/** Two caches around one handler: what it says of its response is for both. */
export function joinControls(outer: ResponseControl | undefined, inner: ResponseControl): ResponseControl {
  if (!outer) return inner
  return {
    ttl(ttl) {
      outer.ttl(ttl)
      inner.ttl(ttl)
    },
    tag(...tags) {
      outer.tag(...tags)
      inner.tag(...tags)
    },
    skip(reason) {
      outer.skip(reason)
      inner.skip(reason)
    },
  }
}
