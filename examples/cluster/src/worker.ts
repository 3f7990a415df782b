import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createCities } from '@sluice-examples/cities-api/data/cities'
import { createApi } from '@sluice-examples/cities-api/servers/create'
import { readSettings } from '@sluice-examples/cities-api/settings'
import { askedDatabase } from './shared-database.ts'

/** One of the processes: the cities API, as it is. */
async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env)
  // Who answered: for show.ts, and for whoever is curious. The API knows nothing of it.
  subscribe('http.server.request.start', (message) => {
    const { response } = message as { request: IncomingMessage; response: ServerResponse }
    response.setHeader('X-Served-By', String(process.pid))
  })
  const api = await createApi(createCities(askedDatabase('shared')), settings)
  const { port } = await api.listen(settings.port, settings.host)
  let stopping = false
  process.on('message', async (message) => {
    if (message !== 'stop' || stopping) return
    stopping = true
    await api.close()
    process.exit(0)
  })
  process.send?.({ listens: port })
}

// Ctrl-C reaches every process of the terminal. The first one tells this one when; if that is gone, so is this.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(1))

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
