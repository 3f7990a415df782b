import type { ServerResponse } from 'node:http'
import type { Exchange } from '@sluice/core'
import { fieldsSetOn } from '../watch/set-fields.ts'

type End = ServerResponse['end']

/**
 * Middleware between us and the handler replaces `end`, to save a session or to write a log, and reads the request in
 * there. The body is made by then: what is read on the way from the outermost `end` to ours does not shape it, unless
 * what arrives is not what was given, or the head was changed on the way.
 *
 * @returns the body has arrived at our own `end`
 */
export function watchEnd(response: ServerResponse, exchange: Exchange): (chunk: unknown) => void {
  const reads = exchange.request?.reads
  if (!reads) return () => {}
  const own = response.end
  let way: { readonly chunk: unknown; readonly head: string; readonly forget: () => void } | undefined
  const entered = new WeakMap<End, End>()
  const enter = (end: End): End => {
    if (end === own) return own
    let entry = entered.get(end)
    if (!entry) {
      entry = function (this: ServerResponse, ...args: unknown[]) {
        if (way) return end.apply(this, args as never)
        way = { chunk: args[0], head: headOf(response), forget: reads.mark() }
        try {
          return end.apply(this, args as never)
        } finally {
          way = undefined
        }
      } as End
      entered.set(end, entry)
    }
    return entry
  }
  let outermost = own
  Object.defineProperty(response, 'end', {
    configurable: true,
    enumerable: true,
    get: () => enter(outermost),
    set(next: End) {
      outermost = next
    },
  })
  return (chunk) => {
    if (way && way.chunk === chunk && way.head === headOf(response)) way.forget()
    way = undefined
  }
}

const headOf = (response: ServerResponse): string => JSON.stringify([response.statusCode, fieldsSetOn(response)])
