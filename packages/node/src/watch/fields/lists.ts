import type { IncomingMessage } from 'node:http'
import { notesFor, notesOn } from '@sluice/core'
import type { RequestWatch } from '../request-watch.ts'
import { stateOf } from '../state.ts'
import { define, type Headers, takesBelow } from './on-request.ts'
import { readList } from './raw-list.ts'

interface Listed {
  readonly watch: RequestWatch
  /** Fields that the list must not show as they were sent. */
  readonly hidden: ReadonlySet<string>
  readonly fields: Headers
}

interface List extends Listed {
  /** What is behind: where the request is watched twice, the first watch's. */
  readonly own: PropertyDescriptor | undefined
  readonly under: List | undefined
  shown: Lists | undefined
}

export const lists = { rawHeaders: listAccessor('rawHeaders'), headersDistinct: listAccessor('headersDistinct') }

/** Lists of everything: whoever reads one has read all of it. */
export function watchList(request: IncomingMessage, name: keyof typeof lists, listed: Listed): void {
  const own = Object.getOwnPropertyDescriptor(request, name)
  if (own && Array.isArray(own.value) && own.writable) {
    const { watch, hidden, fields } = listed
    const raw = own.value as string[]
    // Where two caches watch, what the second takes is what the first has put there.
    request[name as 'rawHeaders'] = watch.silently(() =>
      readList(hidden.size === 0 ? raw : (withFields(raw, hidden, fields) as string[]), watch),
    )
    return
  }
  const { key, accessor } = lists[name]
  const notes = notesFor(request)
  const under = own === undefined || own.get === accessor.get ? (notes[key] as List | undefined) : undefined
  notes[key] = { ...listed, own: under ? undefined : own, under, shown: undefined } satisfies List
  if (!takesBelow(request, name)) Object.defineProperty(request, name, accessor)
}

/** One for all requests, as that of the fields is. */
function listAccessor(name: 'rawHeaders' | 'headersDistinct') {
  const key = Symbol(`sluice.${name}`)
  const show = (request: IncomingMessage, list: List): Lists => {
    const { watch, hidden, fields } = list
    watch.field('*')
    list.shown ??= hidden.size === 0 ? behind(request, list) : withFields(behind(request, list), hidden, fields)
    return list.shown
  }
  const behind = (request: IncomingMessage, { watch, own, under }: List): Lists =>
    watch.silently(() => {
      if (under) return show(request, under)
      if (own) return (own.get ? own.get.call(request) : own.value) as Lists
      return Reflect.get(prototypeOf(request), name, request) as Lists
    })
  const accessor: PropertyDescriptor & ThisType<IncomingMessage> = {
    configurable: true,
    enumerable: name === 'rawHeaders',
    get() {
      return show(this, notesOn(this)![key] as List)
    },
    set(next: unknown) {
      define(this, name, next)
    },
  }
  return { key, accessor }
}

const prototypeOf = (request: object): object => stateOf(request)?.behind ?? (Object.getPrototypeOf(request) as object)

type Lists = string[] | Record<string, string[]>

function withFields(list: Lists, hidden: ReadonlySet<string>, fields: Headers): Lists {
  const lines = [...hidden].flatMap((name) =>
    fields[name] === undefined ? [] : [[name, String(fields[name])] as const],
  )
  if (!Array.isArray(list)) {
    const kept = Object.entries(list).filter(([name]) => !hidden.has(name))
    return Object.fromEntries([...kept, ...lines.map(([name, value]) => [name, [value]] as const)])
  }
  const kept: string[] = []
  for (let i = 0; i < list.length; i += 2) {
    if (!hidden.has(list[i]!.toLowerCase())) kept.push(list[i]!, list[i + 1]!)
  }
  return [...kept, ...lines.flat()]
}
