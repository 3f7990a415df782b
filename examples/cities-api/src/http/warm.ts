import type { Api } from './listen.ts'

/** What is asked for most. An access log knows better: `{ log: '/var/log/nginx/access.log', top: 500 }`. */
const mostAsked = ['/cities', '/cities?country=US', '/cities/2988507', '/cities/2988507/nearby', '/countries']

/** Asks for it before clients do, through the real handlers, and so that compressed forms are there too. */
export async function warmUp(api: Api, base: string): Promise<void> {
  const { total, stored } = await api.warm(base, mostAsked, { concurrency: 2, headers: { 'accept-encoding': 'br' } })
  console.log(`Warmed the cache: ${stored} of ${total} pages stored`)
}
