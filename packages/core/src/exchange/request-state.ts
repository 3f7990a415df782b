/**
 * What the stages of one request leave for each other on it: each file that uses them says which. One object under one
 * symbol, because a hit looks for all of them and mostly finds none, and a look at a request that a framework has changed
 * costs more than what is done with it. A property, and not a WeakMap, for the same reason.
 */
export interface Notes {
  [note: symbol]: unknown
}

/** From the global registry, so that two copies of the package understand each other. */
const key: unique symbol = Symbol.for('sluice.notes') as never

type Noted = { [key]?: Notes }

/** `undefined` where nobody has left anything. */
export function notesOn(request: object): Notes | undefined {
  return (request as Noted)[key]
}

/** The same to write to. */
export function notesFor(request: object): Notes {
  const noted = request as Noted
  noted[key] ??= {}
  return noted[key]
}
