import type { InvalidationTarget, Reply } from '@sluice/core'
import { bad, json } from '../door/answer.ts'
import type { Passage } from '../door/passage.ts'
import { type DoorRequest, header } from '../door/request.ts'
import { bodyOf, known } from './body.ts'

/** What is to be invalidated, read and found right as a whole before anything is done. */
interface Orders {
  readonly targets: readonly InvalidationTarget[]
  /** For the audit and the answer. */
  readonly what: readonly string[]
  readonly soft: boolean
}

const most = 1_000
const longest = 8_192

/** `POST /purge`. */
export async function postPurge(passage: Passage): Promise<Reply> {
  const body = await bodyOf(passage.request)
  const keys = headerKeys(passage.request)
  if (keys) {
    if (Object.keys(body).some((name) => name !== 'soft')) bad('Give the keys in a field or in the body, not in both.')
    return carryOut(passage, { ...keys, soft: keys.soft || flag(body.soft, 'soft') })
  }
  return carryOut(passage, ordersIn(body))
}

/** `PURGE <url>`; with a field that names keys, these alone. */
export async function purgeMethod(passage: Passage): Promise<Reply> {
  const { request } = passage
  const keys = headerKeys(request)
  if (keys) return carryOut(passage, keys)
  const url = request.target
  if (url === '/' || url === '*') {
    bad('Which URL? `PURGE <mount>/cities/7` for /cities/7; for keys a field `Surrogate-Key: cities city:7`.')
  }
  return carryOut(passage, { targets: [{ url }], what: [`url:${url}`], soft: softField(request) })
}

async function carryOut({ sluice, did }: Passage, { targets, what, soft }: Orders): Promise<Reply> {
  if (targets.length === 0)
    bad('Nothing is named. Give one of tags, urls, routes, or {"all":true,"confirm":"everything"}.')
  if (what.length > most)
    bad(`${what.length} are named, and ${most} may be. Purge by a tag or a route that they share.`)
  await did({ action: soft ? 'expire' : 'purge', what }, async () => {
    // Side by side: on Redis each is a round trip. All are waited for, also where one fails.
    const done = await Promise.allSettled(
      targets.map((target) => (soft ? sluice.expire(target) : sluice.purge(target))),
    )
    for (const one of done) if (one.status === 'rejected') throw one.reason
    return what.length
  })
  return json({ status: 'ok', mode: soft ? 'expire' : 'purge', count: what.length, what })
}

function ordersIn(body: Readonly<Record<string, unknown>>): Orders {
  known(body, 'tags', 'urls', 'routes', 'all', 'confirm', 'soft')
  const soft = flag(body.soft, 'soft')
  const tags = texts(body.tags, 'tags')
  const urls = texts(body.urls, 'urls')
  const routes = list(body.routes, 'routes').map(routeFrom)
  for (const url of urls) checkUrl(url)
  if (flag(body.all, 'all')) {
    if (tags.length + urls.length + routes.length > 0) bad('`all` stands alone: leave tags, urls and routes out.')
    if (body.confirm !== 'everything') bad('To invalidate all there is, add "confirm":"everything".')
    return { targets: [{ all: true }], what: ['everything'], soft }
  }
  if (body.confirm !== undefined) bad('`confirm` belongs to `all`.')
  return {
    targets: targetsOf(tags, urls, routes),
    what: [...tags.map((tag) => `tag:${tag}`), ...urls.map((url) => `url:${url}`), ...routes.map(nameOfRoute)],
    soft,
  }
}

/** Tags together, which is one round trip; URLs and routes one by one. */
export const targetsOf = (
  tags: readonly string[],
  urls: readonly string[],
  routes: readonly Route[],
): InvalidationTarget[] => [...(tags.length > 0 ? [{ tags }] : []), ...urls.map((url) => ({ url })), ...routes]

/** The keys that a batch in the manner of Fastly (`Surrogate-Key`) or Varnish (`xkey`) names. */
function headerKeys(request: DoorRequest): Orders | undefined {
  const soft = header(request, 'xkey-softpurge')
  const given = [soft, ...['surrogate-key', 'xkey', 'xkey-purge'].map((name) => header(request, name))]
  const named = given.filter((value) => value !== undefined)
  if (named.length === 0) return undefined
  if (soft !== undefined && named.length > 1)
    bad('Name the keys in one field: some are to be purged, and some expired.')
  const tags = [...new Set(named.join(' ').split(/[\s,]+/))].filter((key) => key !== '')
  if (tags.length === 0) bad('No key is named: `Surrogate-Key: cities city:7`.')
  return { targets: [{ tags }], what: tags.map((tag) => `tag:${tag}`), soft: soft !== undefined || softField(request) }
}

/** As Fastly has it. */
const softField = (request: DoorRequest): boolean => header(request, 'fastly-soft-purge') === '1'

type Route = Extract<InvalidationTarget, { readonly route: string }>

function routeFrom(given: unknown): Route {
  if (typeof given === 'string' && given.startsWith('/')) return { route: given }
  if (typeof given === 'object' && given !== null) {
    known(given as Record<string, unknown>, 'route', 'params')
    const { route, params } = given as { route?: unknown; params?: unknown }
    const isPlain = (value: unknown): boolean => ['string', 'number'].includes(typeof value)
    const fits =
      params === undefined || (typeof params === 'object' && params !== null && Object.values(params).every(isPlain))
    if (typeof route === 'string' && route.startsWith('/') && fits) return given as Route
  }
  bad('A route is a pattern such as "/cities/:id", or {"route":"/cities/:id","params":{"id":7}}.')
}

const nameOfRoute = ({ route, params }: Route): string => `route:${route}${params ? ` ${JSON.stringify(params)}` : ''}`

function checkUrl(url: string): void {
  if (!/^(?:\/|https?:\/\/[^/])/i.test(url))
    bad(`A URL begins with / or http(s)://; received ${JSON.stringify(url.slice(0, 80))}.`)
}

function list(value: unknown, name: string): readonly unknown[] {
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value
  bad(`\`${name}\` must be a list of texts.`)
}

function texts(value: unknown, name: string): readonly string[] {
  return list(value, name).map((one) => {
    if (typeof one === 'string' && one !== '' && one.length <= longest) return one
    return bad(`\`${name}\` must be a list of texts that are not empty, of ${longest} characters at the most.`)
  })
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  bad(`\`${name}\` must be true or false.`)
}
