import { admin } from '@sluice/admin'
import { dashboard } from '@sluice/dashboard'
import sluice, { type SluiceRoute } from '@sluice/fastify'
import Fastify from 'fastify'
import type { Cities } from '../data/cities.ts'
import { backendOf } from '../http/backend.ts'
import { logChange } from '../http/change-log.ts'
import { found, readChange, readId, readLookup, readSearch } from '../http/input.ts'
import { listLargest, lookUpAlone } from '../http/largest.ts'
import { limitsOf, shedding } from '../http/limits.ts'
import { type Api, portOf } from '../http/listen.ts'
import { signIn } from '../http/login.ts'
import { metricsOf } from '../http/metrics.ts'
import { operatorsOf, operatorsPath, pageOf, pagePath } from '../http/operators.ts'
import { cityFields, cityPages } from '../http/pages.ts'
import { describeProblem, problemDocument, problemType } from '../http/problem.ts'
import { routes } from '../http/routes.ts'
import { cityTag, cityTags } from '../http/tags.ts'
import { totals } from '../http/totals.ts'
import type { Settings } from '../settings.ts'

type ById = { Params: { id: string } }
type Query = { Querystring: Record<string, unknown> }

export async function createFastifyApi(cities: Cities, settings: Settings): Promise<Api> {
  const { rates, password, behindProxy } = settings
  const app = Fastify({ trustProxy: behindProxy ? 'loopback' : false })
  await app.register(sluice, {
    ...backendOf(settings),
    cache: { maxBytes: '64mb' },
    // What comes from memory has its compressed forms stored beside it.
    compress: true,
    // A body may come compressed (`Content-Encoding`); what it decodes to is bounded.
    decompress: { maxBytes: '100kb' },
    limits: limitsOf(rates),
    // These are for every request, also for what is not there. In front of the cache: hits count.
    shed: shedding,
    limit: 'address',
  })

  app.setErrorHandler((error, _request, reply) => {
    const problem = describeProblem(error)
    return reply.status(problem.status).type(problemType).send(problem)
  })
  app.setNotFoundHandler((request, reply) => {
    const problem = problemDocument(404, `There is nothing at ${request.method} ${request.url}.`)
    return reply.status(404).type(problemType).send(problem)
  })

  const operators = operatorsOf(settings)
  if (operators) await app.register(admin(app.sluice, operators).fastify, { prefix: operatorsPath })
  const page = pageOf(settings)
  if (page) await app.register(dashboard(app.sluice, page).fastify, { prefix: pagePath })

  const totalOf = app.sluice.memo(cities.total, totals)
  app.get('/', () => ({ routes, cache: app.sluice.stats().cache, totals: totalOf.info() }))

  const metrics = metricsOf(app.sluice)
  app.get('/metrics', async (request, reply) => {
    const { headers, body } = await metrics.render(request.headers.accept)
    return reply.headers(headers).send(body)
  })

  // `query` names the parameters that shape the answer: `?utm_source=…` then finds the same stored page.
  const search: SluiceRoute = {
    limit: 'search',
    cache: '5m',
    tags: ['cities'],
    query: ['country', 'q', 'cursor', 'limit', 'fields'],
    paginate: cityPages,
    fields: cityFields,
  }
  app.get<Query>('/cities', { config: { sluice: search } }, async (request) => {
    const asked = readSearch(request.query)
    const [found, total] = await Promise.all([cities.search(asked, request.page), totalOf(asked)])
    return request.page.reply(found, { total })
  })

  const oneCity: SluiceRoute = { cache: '5m', tags: (r) => [cityTag(r.params.id)], query: [] }
  app.get<ById>('/cities/:id', { config: { sluice: oneCity } }, async (request) => {
    const id = readId(request.params)
    return found(await cities.find(id), id)
  })

  app.get<ById>('/cities/:id/nearby', { config: { sluice: oneCity } }, async (request, reply) => {
    const id = readId(request.params)
    const { city, nearby } = found(await cities.nearby(id), id)
    // Known only now: a change of any of them is to purge this answer too.
    reply.sluice.tag(...cityTags(nearby))
    return { city, nearby }
  })

  // The same as a wrapper, which stays with the handler wherever that is mounted. `@app.sluice.cached(…)` decorates methods.
  const listCountries = app.sluice.cached('1h', { tags: ['countries'], query: [] })(() => cities.countries())
  app.get('/countries', listCountries)

  // All look-ups of one request that come in one turn are one query.
  const largestIn = app.sluice.batch((countries: readonly string[]) => cities.largestIn(countries), {
    keyOf: (city) => city.country,
  })
  app.get<Query>('/countries/largest', (request) => {
    const single = readLookup(request.query) === 'single'
    const lookUp = (country: string) => (single ? lookUpAlone(cities, country) : largestIn(request).load(country))
    return listLargest(cities, lookUp)
  })

  // Purges only if the change succeeded, and before the client hears of it.
  const changed: SluiceRoute = { invalidates: ['cities', 'countries', (r) => cityTag(r.params.id)] }
  app.patch<ById>('/cities/:id', { config: { sluice: changed } }, async (request, reply) => {
    const id = readId(request.params)
    const city = found(await cities.change(id, readChange(request.body)), id)
    app.sluice.defer(reply, () => logChange(city))
    return city
  })

  app.post('/login', { config: { sluice: { limit: 'login' } } }, (request) => signIn(request.body, password))

  return {
    async listen(port, host) {
      await app.sluice.ready({ timeout: '5s' })
      await app.listen({ port, host })
      return { port: portOf(app.server) }
    },
    warm: app.sluice.warm,
    close: () => app.close(),
  }
}
