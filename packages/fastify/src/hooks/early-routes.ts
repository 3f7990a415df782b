import type { FastifyRequest, RouteOptions } from 'fastify'

/**
 * Notices routes that were declared before the plugin was loaded (`app.register(sluice)` without `await`, say): Fastify
 * shows a plugin only later routes, so that what they ask for in `config.sluice` would go unheard.
 */
export class EarlyRoutes {
  readonly #heard = new WeakSet<object>()
  readonly #told = new Set<string>()
  /** Asking Fastify for a request's route costs something, and whoever has made this mistake sees it soon. */
  #looks = 200

  /** There is nothing more to be said: nobody need ask. */
  get done(): boolean {
    return this.#looks <= 0
  }

  heard(route: RouteOptions): void {
    const given = route.config?.sluice
    if (given) this.#heard.add(given)
  }

  check(request: FastifyRequest): void {
    if (this.#looks-- <= 0) return
    const { url, method, config } = request.routeOptions
    if (!config?.sluice || this.#heard.has(config.sluice)) return
    const name = `${[method].flat().join(', ')} ${url}`
    if (this.#told.has(name)) return
    this.#told.add(name)
    process.emitWarning(
      `Route ${name} was declared before the plugin was loaded, so its \`config.sluice\` has no effect. ` +
        'Write `await app.register(sluice)` in front of it.',
      { code: 'SLUICE_EARLY_ROUTE' },
    )
  }
}
