import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach } from '@jest/globals'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/express'
import express from 'express'

const started: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop()
})

/** Cities, kept for a minute; a search that is not, because of a cookie; a limit of three a minute. */
export async function application() {
  const sluice = createSluice({ limits: { few: { rate: '3/min', ban: 'by-hand' } } })
  const app = express()
  app.use('/sluice', dashboard(sluice, { authorize: () => 'ann', actions: true }))
  app.get('/cities/:id', sluice.cache('1m', { tags: ['cities'] }), (req, res) => {
    res.json({ id: req.params.id })
  })
  app.get('/search', sluice.cache('1m'), (req, res) => {
    res.send(`as ${req.get('cookie')?.slice(0, 20)}`)
  })
  app.get('/few', sluice.limit('few'), (_req, res) => {
    res.send('one of few')
  })
  const server: Server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  started.push(async () => {
    server.closeAllConnections()
    server.close()
    await sluice.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(origin + path, { headers })
    await answer.text()
    return { status: answer.status, result: answer.headers.get('cache-status') ?? '' }
  }
  return { origin, get }
}
