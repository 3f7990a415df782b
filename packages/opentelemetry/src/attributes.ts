import type { Attributes } from '@opentelemetry/api'
import { methodLabel, reasonLabel, type SpanFacts, unmatched } from '@sluice/core'

/** Names of the semantic conventions. */
export const route = 'http.route'
export const method = 'http.request.method'
export const errorType = 'error.type'

/** What the semantic conventions say where a value is none of those that are told apart. */
export const otherValue = '_OTHER'

/** The conventions want no route where there is none. */
export const routeAttribute = (label: string): Attributes => (label === unmatched ? {} : { [route]: label })

/** A method that everybody knows. */
export function methodValue(name: string): string {
  const label = methodLabel(name)
  return label.startsWith('(') ? otherValue : label
}

/** What is told of calls of a backend, as of any database. */
export const callAttributes = (system: string, operation: string): Attributes => ({
  'db.system.name': system,
  'db.operation.name': operation,
})

export interface Bounds {
  /** A route as it is told apart from others. */
  routeLabel(route: string): string
  /** `redis`. */
  readonly system: string
}

/** What core tells of a span, as attributes. No value comes from a client but through a bound. */
export function spanAttributes(facts: SpanFacts, { routeLabel, system }: Bounds): Attributes {
  const attributes: Attributes = {}
  if (facts.route !== undefined && facts.route !== unmatched) attributes[route] = routeLabel(facts.route)
  if (facts.method !== undefined) attributes[method] = methodValue(facts.method)
  if (facts.status !== undefined) attributes['http.response.status_code'] = facts.status
  if (facts.bytes !== undefined) attributes['http.response.body.size'] = facts.bytes
  if (facts.result !== undefined) attributes['sluice.result'] = facts.result
  if (facts.reason !== undefined) attributes['sluice.reason'] = reasonLabel(facts.reason)
  if (facts.stored !== undefined) attributes['sluice.stored'] = facts.stored
  if (facts.background !== undefined) attributes['sluice.background'] = facts.background
  if (facts.tags !== undefined) attributes['sluice.tags'] = facts.tags
  if (facts.operation !== undefined) Object.assign(attributes, callAttributes(system, facts.operation))
  return attributes
}
