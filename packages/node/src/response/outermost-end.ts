import type { ServerResponse } from 'node:http'
import { type Exchange, notesFor, notesOn, type ReadObserver } from '@sluice/core'
import { fieldsSetOn } from '../watch/set-fields.ts'
import { place, placeEnd } from './methods.ts'

type End = ServerResponse['end']

/**
 * Middleware between us and the handler replaces `end`, to save a session or to write a log, and reads the request in
 * there. The body is made by then: what is read on the way from the outermost `end` to ours does not shape it, unless
 * what arrives is not what was given, or the head was changed on the way.
 *
 * @param end - our own, which is put on the response
 * @returns the body has arrived at it
 */
export function watchEnd(response: ServerResponse, exchange: Exchange, end: End): (chunk: unknown) => void {
  const reads = exchange.request?.reads
  const isWatched = wayOf(response) !== undefined
  // Where an exchange in front of this one watches, what is put there is on its way too.
  if (!reads || isWatched) place(response, 'end', end)
  if (!reads) return () => {}
  const way = new Way(response, reads, isWatched ? response.end : end)
  notesFor(response.req)[wayKey] = way
  placeEnd(response, shared)
  return (chunk) => way.arrived(chunk)
}

const wayKey = Symbol('sluice.end')

const wayOf = ({ req }: ServerResponse): Way | undefined => notesOn(req)?.[wayKey] as Way | undefined

/** One accessor for all responses: with one of its own each of them would be an object of its own shape. */
const shared: PropertyDescriptor & ThisType<ServerResponse> = {
  configurable: true,
  enumerable: true,
  get() {
    return wayOf(this)!.entrance
  },
  set(next: End) {
    wayOf(this)!.outermost = next
  },
}

/** The way of a body from the outermost `end` to our own. */
class Way {
  outermost: End
  private readonly response: ServerResponse
  private readonly reads: ReadObserver
  private readonly own: End
  private under: { readonly chunk: unknown; readonly head: string; readonly forget: () => void } | undefined
  private entered: WeakMap<End, End> | undefined

  constructor(response: ServerResponse, reads: ReadObserver, own: End) {
    this.response = response
    this.reads = reads
    this.own = own
    this.outermost = own
  }

  get entrance(): End {
    const end = this.outermost
    if (end === this.own) return end
    this.entered ??= new WeakMap()
    let entry = this.entered.get(end)
    if (!entry) {
      entry = this.entry(end)
      this.entered.set(end, entry)
    }
    return entry
  }

  private entry(end: End): End {
    const way = this
    return function (this: ServerResponse, ...args: unknown[]) {
      if (way.under) return end.apply(this, args as never)
      way.under = { chunk: args[0], head: headOf(way.response), forget: way.reads.mark() }
      try {
        return end.apply(this, args as never)
      } finally {
        way.under = undefined
      }
    } as End
  }

  arrived(chunk: unknown): void {
    const { under } = this
    if (under && under.chunk === chunk && under.head === headOf(this.response)) under.forget()
    this.under = undefined
  }
}

const headOf = (response: ServerResponse): string => JSON.stringify([response.statusCode, fieldsSetOn(response)])
