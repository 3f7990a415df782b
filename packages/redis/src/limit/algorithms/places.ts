import { type ParameterOf, parameters, type StateKind } from '@sluice/core'

/** Letter and shadow come first in a spec. */
const before = 2

/** How Lua writes the parameters of an algorithm: each by its name here, at its place in a spec there. */
export function placesOf<Kind extends StateKind>(kind: Kind, spec = 'p'): Readonly<Record<ParameterOf<Kind>, string>> {
  const places = parameters[kind].map((name, i) => [name, `${spec}[${before + 1 + i}]`])
  return Object.fromEntries(places) as Record<ParameterOf<Kind>, string>
}
