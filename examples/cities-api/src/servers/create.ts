import type { Cities } from '../data/cities.ts'
import type { Api } from '../http/listen.ts'
import type { Framework, Settings } from '../settings.ts'

// Only the chosen framework is loaded.
const servers: Record<Framework, (cities: Cities, settings: Settings) => Promise<Api>> = {
  express: async (cities, settings) => (await import('./express.ts')).createExpressApi(cities, settings),
  koa: async (cities, settings) => (await import('./koa.ts')).createKoaApi(cities, settings),
  fastify: async (cities, settings) => (await import('./fastify.ts')).createFastifyApi(cities, settings),
}

/** The API on the framework of the settings. */
export function createApi(cities: Cities, settings: Settings): Promise<Api> {
  return servers[settings.framework](cities, settings)
}
