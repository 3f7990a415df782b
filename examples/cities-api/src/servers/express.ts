import { admin } from '@sluice/admin'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/express'
import express, { type ErrorRequestHandler, type Request, type Response } from 'express'
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

export function createExpressApi(cities: Cities, settings: Settings): Api {
  const { rates, password, behindProxy } = settings
  const sluice = createSluice({ ...backendOf(settings), cache: { maxBytes: '64mb' }, limits: limitsOf(rates) })
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', behindProxy ? 'loopback' : false)

  // In front of the limits: who is refused there can still be let in here.
  const operators = operatorsOf(settings)
  if (operators) app.use(operatorsPath, admin(sluice, operators))
  const page = pageOf(settings)
  if (page) app.use(pagePath, dashboard(sluice, page))

  // In front of everything: what comes from memory has its compressed forms stored beside it.
  app.use(sluice.compress())
  // For every request, also for what is not there. In front of the cache: hits count.
  app.use(sluice.shed(shedding), sluice.limit('address'))

  const totalOf = sluice.memo(cities.total, totals)
  app.get('/', (_req, res) => {
    res.json({ routes, cache: sluice.stats().cache, totals: totalOf.info() })
  })

  app.get('/metrics', metricsOf(sluice).handler)

  // `query` names the parameters that shape the answer: `?utm_source=…` then finds the same stored page.
  const pages = sluice.paginate(cityPages)
  const fields = sluice.fields(cityFields)
  const query = ['country', 'q', ...pages.params, ...fields.params]
  const search = [sluice.limit('search'), sluice.cache('5m', { tags: ['cities'], query }), fields, pages]
  app.get('/cities', ...search, async (req, res) => {
    const asked = readSearch(req.query)
    const [found, total] = await Promise.all([cities.search(asked, req.page), totalOf(asked)])
    res.json(req.page.reply(found, { total }))
  })

  const oneCity = sluice.cache('5m', { tags: (r) => [cityTag(r.params.id)], query: [] })
  app.get('/cities/:id', oneCity, async (req, res) => {
    const id = readId(req.params)
    res.json(found(await cities.find(id), id))
  })

  app.get('/cities/:id/nearby', oneCity, async (req, res) => {
    const id = readId(req.params)
    const { city, nearby } = found(await cities.nearby(id), id)
    // Known only now: a change of any of them is to purge this answer too.
    res.sluice.tag(...cityTags(nearby))
    res.json({ city, nearby })
  })

  // The same as a wrapper, which stays with the handler wherever that is mounted. `@sluice.cached(…)` decorates methods.
  const listCountries = sluice.cached('1h', { tags: ['countries'], query: [] })(
    async (_req: Request, res: Response) => {
      res.json(await cities.countries())
    },
  )
  app.get('/countries', listCountries)

  // All look-ups of one request that come in one turn are one query.
  const largestIn = sluice.batch((countries: readonly string[]) => cities.largestIn(countries), {
    keyOf: (city) => city.country,
  })
  app.get('/countries/largest', async (req, res) => {
    const single = readLookup(req.query) === 'single'
    const lookUp = (country: string) => (single ? lookUpAlone(cities, country) : largestIn(req).load(country))
    res.json(await listLargest(cities, lookUp))
  })

  // A body may come compressed (`Content-Encoding`); what it decodes to is bounded.
  const decompress = sluice.decompress({ maxBytes: '100kb' })
  const json = express.json()

  // Purges only if the change succeeded, and before the client hears of it.
  const changed = sluice.invalidate('cities', 'countries', (r) => cityTag(r.params.id))
  app.patch('/cities/:id', decompress, json, changed, async (req, res) => {
    const id = readId(req.params)
    const city = found(await cities.change(id, readChange(req.body)), id)
    sluice.defer(res, () => logChange(city))
    res.json(city)
  })

  app.post('/login', sluice.limit('login'), decompress, json, (req, res) => {
    res.json(signIn(req.body, password))
  })

  app.use((req) => {
    throw new Problem(404, `There is nothing at ${req.method} ${req.path}.`)
  })
  app.use(sendProblem)

  return httpApi(app, sluice)
}

// Express knows an error handler by its four parameters.
const sendProblem: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error)
  const problem = describeProblem(error)
  res.status(problem.status).type(problemType).json(problem)
}
