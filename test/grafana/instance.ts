import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSluice } from '@sluice/express'
import { prometheus } from '@sluice/prometheus'
import express from 'express'
import { Registry } from 'prom-client'
import { type Family, parseExposition } from '../prometheus/exposition.ts'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { startRedis, until } from '../support/redis-server.ts'

/** Scrapes a real instance, on Redis with memory in front, which has done all there is to count. */
export async function scrapeBusyInstance(): Promise<ReadonlyMap<string, Family>> {
  const server = await startRedis()
  const sluice = createSluice({
    backend: redis(server.url, { namespace: freshName() }),
    limits: { few: { rate: '2/min', countIf: () => true }, jobs: '2 concurrent' },
  })
  const metrics = prometheus(sluice, { registry: new Registry() })
  const app = express()
  app.get('/metrics', metrics.handler)
  app.use(sluice.shed({ concurrency: true }), sluice.compress())
  app.get('/cities/:id', sluice.limit('jobs'), sluice.cache('1m'), (req, res) => {
    res.type('text').send(`${req.params.id} `.repeat(2_000))
  })
  app.get('/private', sluice.cache('1m'), (_req, res) => void res.set('Cache-Control', 'no-store').send('x'))
  app.get('/limited', sluice.limit('few'), (_req, res) => void res.send('x'))
  const listening = createServer(app).listen(0, '127.0.0.1')
  try {
    await sluice.ready()
    await until(() => sluice.stats().cache.bus?.delayMs !== undefined)
    const base = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
    const ask = async (path: string): Promise<string> =>
      (await fetch(`${base}${path}`, { headers: { 'Accept-Encoding': 'gzip' } })).text()
    for (const path of ['/cities/1', '/cities/1', '/private', '/limited', '/limited', '/limited']) await ask(path)
    await sluice.memo((n: number) => n, { ttl: '1m', name: 'n' })(1)
    await sluice.purge({ url: '/cities/1' })
    sluice.defer(() => {})
    const families = () => ask('/metrics').then((text) => parseExposition(text))
    let scraped = await families()
    await until(async () => {
      scraped = await families()
      return (scraped.get('sluice_compressed_bodies_total')?.samples.length ?? 0) > 0
    })
    return scraped
  } finally {
    listening.closeAllConnections()
    listening.close()
    metrics.stop()
    await sluice.close()
    await server.stop()
  }
}
