import { pageOf, pagePath } from './http/operators.ts'
import type { Settings } from './settings.ts'

/** What to try first, one command per line: a miss, the same again as a hit, and a 304 for who has it already. */
export function curlLines(base: string): string[] {
  const search = `'${base}/cities?q=spring'`
  return [
    `curl -s -o /dev/null -D - ${search}`,
    `curl -s -o /dev/null -D - --etag-save /tmp/cities.etag ${search}`,
    `curl -s -o /dev/null -D - --etag-compare /tmp/cities.etag ${search}`,
  ]
}

/** What the terminal shows once the API listens. */
export function announcement(settings: Settings, databaseName: string, port: number): string {
  const base = baseUrl(settings, port)
  const [miss, hit, notModified] = curlLines(base)
  const { framework } = settings
  return `
cities-api on ${framework[0]?.toUpperCase()}${framework.slice(1)}, with ${databaseName}, listens on ${base}

  A search of 135,000 names, the first time: 200, "Cache-Status: Sluice; fwd=uri-miss; stored"
    ${miss}
  The same from memory: 200, "Cache-Status: Sluice; hit"
    ${hit}
  And for a client that has it already: 304, without a body
    ${notModified}

  ${base}/ lists the routes and counts the hits.${page(settings, base)} Ctrl-C stops.
`
}

/** Where the live page is, where there is one. */
const page = (settings: Settings, base: string): string =>
  pageOf(settings) ? `\n  ${base}${pagePath} shows hit rates, reasons and limits, live.` : ''

/** Where clients find the API. */
export function baseUrl({ host }: Settings, port: number): string {
  return `http://${urlHost(host)}:${port}`
}

/** An address that listens everywhere is no address to ask; a literal IPv6 address needs its brackets. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
