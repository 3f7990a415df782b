import type { PolicyOptions, ShedOptions } from '@sluice/core'

/** How much is allowed, as Sluice writes rates: `600/min`, `5 per 15 minutes`. */
export interface Rates {
  readonly address: string
  readonly search: string
  readonly login: string
}

/** The limits of the API, by name. */
export function limitsOf(rates: Rates): Record<keyof Rates, PolicyOptions> {
  return {
    // Everything an address asks for, also what is not there.
    address: { rate: rates.address },
    // What a search costs the database is what it costs the client: nothing indexes the middle of a name.
    search: { rate: rates.search, cost: (c) => (c.query.q ? 5 : 1) },
    // Wrong passwords only: whoever knows it may sign in as often as he likes.
    login: { rate: rates.login, countIf: (r) => r.status === 401 },
  }
}

/**
 * When everybody waits too long, some are turned away (503) so that the others need not. Later than by default, because
 * the embedded database works in this process: each of its queries holds up whatever else there is to do.
 */
export const shedding: ShedOptions = { maxDelay: '1s', priority: (c) => (c.path === '/' ? 'critical' : 'default') }
