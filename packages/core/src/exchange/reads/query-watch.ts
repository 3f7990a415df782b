import { notesFor, notesOn } from '../request-state.ts'
import type { RequestView } from '../request-view.ts'

export { isOfParameter } from './query-params.ts'

/** A cache in front of a stage that reads query parameters by itself: what of the query its key has. */
export interface QueryWatch {
  /** Whether the key has this parameter. */
  covers(name: string): boolean
  /** The stage reads it: where the key does not have it, the answer must not be stored. */
  read(name: string): void
}

const watchKey = Symbol.for('sluice.queryWatch')
const hiddenKey = Symbol.for('sluice.hiddenQuery')
const pagedKey = Symbol.for('sluice.paged')

/** Tells the stages behind that the key of this request has only a part of the query. */
export function watchQuery(view: RequestView, watch: QueryWatch): void {
  notesFor(view.native)[watchKey] = [...queryWatches(view), watch]
}

/** The caches in front of this stage whose keys have only a part of the query. */
export function queryWatches(view: RequestView): readonly QueryWatch[] {
  return (notesOn(view.native)?.[watchKey] as QueryWatch[] | undefined) ?? none
}

/** Tells the caches behind that a stage in front sees to these parameters: they do not shape what is stored. */
export function hideQuery(view: RequestView, names: readonly string[]): void {
  notesFor(view.native)[hiddenKey] = [...(hiddenQuery(view) ?? []), ...names]
}

/** The parameters that the key is to leave out; `undefined` for none. */
export function hiddenQuery(view: RequestView): readonly string[] | undefined {
  return notesOn(view.native)?.[hiddenKey] as string[] | undefined
}

/** Tells the caches behind that a stage in front adds to the answer what only the handler knows: a hit would lack it. */
export function markPaged(view: RequestView): void {
  notesFor(view.native)[pagedKey] = true
}

/** Whether pagination stands in front of this stage. */
export function isPaged(view: RequestView): boolean {
  return notesOn(view.native)?.[pagedKey] === true
}

const none: readonly QueryWatch[] = Object.freeze([])
