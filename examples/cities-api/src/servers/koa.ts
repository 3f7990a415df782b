import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { admin } from '@sluice/admin'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/koa'
import Koa, { type Context, type Next } from 'koa'
import type { Cities } from '../data/cities.ts'
import { backendOf } from '../http/backend.ts'
import { logChange } from '../http/change-log.ts'
import { found, readChange, readId, readLookup, readSearch } from '../http/input.ts'
import { listLargest, lookUpAlone } from '../http/largest.ts'
import { limitsOf, shedding } from '../http/limits.ts'
import { type Api, httpApi } from '../http/listen.ts'
import { signIn } from '../http/login.ts'
import { metricsOf } from '../http/metrics.ts'
import { operatorsOf, operatorsPath, pageOf, pagePath } from '../http/operators.ts'
import { cityFields, cityPages } from '../http/pages.ts'
import { describeProblem, Problem, problemType } from '../http/problem.ts'
import { routes } from '../http/routes.ts'
import { cityTag, cityTags } from '../http/tags.ts'
import { totals } from '../http/totals.ts'
import type { Settings } from '../settings.ts'

export function createKoaApi(cities: Cities, settings: Settings): Api {
  const { rates, password, behindProxy } = settings
  const sluice = createSluice({ ...backendOf(settings), cache: { maxBytes: '64mb' }, limits: limitsOf(rates) })
  const app = new Koa({ proxy: behindProxy })
  const router = new Router()

  const totalOf = sluice.memo(cities.total, totals)
  router.get('/', (ctx) => {
    ctx.body = { routes, cache: sluice.stats().cache, totals: totalOf.info() }
  })

  const metrics = metricsOf(sluice)
  router.get('/metrics', async (ctx) => {
    const { headers, body } = await metrics.render(ctx.get('Accept'))
    ctx.set(headers)
    ctx.body = body
  })

  // `query` names the parameters that shape the answer: `?utm_source=…` then finds the same stored page.
  const pages = sluice.paginate(cityPages)
  const fields = sluice.fields(cityFields)
  const query = ['country', 'q', ...pages.params, ...fields.params]
  const search = [sluice.limit('search'), sluice.cache('5m', { tags: ['cities'], query }), fields, pages]
  router.get('/cities', ...search, async (ctx) => {
    const asked = readSearch(ctx.query)
    const [found, total] = await Promise.all([cities.search(asked, ctx.page), totalOf(asked)])
    ctx.body = ctx.page.reply(found, { total })
  })

  const oneCity = sluice.cache('5m', { tags: (r) => [cityTag(r.params.id)], query: [] })
  router.get('/cities/:id', oneCity, async (ctx) => {
    const id = readId(ctx.params)
    ctx.body = found(await cities.find(id), id)
  })

  router.get('/cities/:id/nearby', oneCity, async (ctx) => {
    const id = readId(ctx.params)
    const { city, nearby } = found(await cities.nearby(id), id)
    // Known only now: a change of any of them is to purge this answer too.
    ctx.sluice.tag(...cityTags(nearby))
    ctx.body = { city, nearby }
  })

  // The same as a wrapper, which stays with the handler wherever that is mounted. `@sluice.cached(…)` decorates methods.
  const listCountries = sluice.cached('1h', { tags: ['countries'], query: [] })(async (ctx: Context) => {
    ctx.body = await cities.countries()
  })
  router.get('/countries', listCountries)

  // All look-ups of one request that come in one turn are one query.
  const largestIn = sluice.batch((countries: readonly string[]) => cities.largestIn(countries), {
    keyOf: (city) => city.country,
  })
  router.get('/countries/largest', async (ctx) => {
    const single = readLookup(ctx.query) === 'single'
    const lookUp = (country: string) => (single ? lookUpAlone(cities, country) : largestIn(ctx).load(country))
    ctx.body = await listLargest(cities, lookUp)
  })

  // A body may come compressed (`Content-Encoding`); what it decodes to is bounded.
  const decompress = sluice.decompress({ maxBytes: '100kb' })
  const json = bodyParser({ enableTypes: ['json'] })

  // Purges only if the change succeeded, and before the client hears of it.
  const changed = sluice.invalidate('cities', 'countries', (r) => cityTag(r.params.id))
  router.patch('/cities/:id', decompress, json, changed, async (ctx) => {
    const id = readId(ctx.params)
    const city = found(await cities.change(id, readChange(ctx.request.body)), id)
    sluice.defer(ctx, () => logChange(city))
    ctx.body = city
  })

  router.post('/login', sluice.limit('login'), decompress, json, (ctx) => {
    ctx.body = signIn(ctx.request.body, password)
  })

  // In front of the limits: who is refused there can still be let in here.
  const operators = operatorsOf(settings)
  if (operators) app.use(admin(sluice, { ...operators, path: operatorsPath }).koa)
  const page = pageOf(settings)
  if (page) app.use(dashboard(sluice, { ...page, path: pagePath }).koa)
  // In front of everything: what comes from memory has its compressed forms stored beside it.
  app.use(sluice.compress())
  // For every request, also for what is not there. In front of the cache: hits count.
  app.use(sluice.shed(shedding))
  app.use(sluice.limit('address'))
  app.use(sendProblem)
  app.use(router.routes())
  app.use((ctx) => {
    throw new Problem(404, `There is nothing at ${ctx.method} ${ctx.path}.`)
  })

  return httpApi(app.callback(), sluice)
}

/** First in the row, so that it sees what all others throw. */
async function sendProblem(ctx: Context, next: Next): Promise<void> {
  try {
    await next()
  } catch (error) {
    const problem = describeProblem(error)
    ctx.status = problem.status
    ctx.body = problem
    ctx.type = problemType
  }
}
