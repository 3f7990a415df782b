import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createCities } from '@sluice-examples/cities-api/data/cities'
import { openDatabase } from '@sluice-examples/cities-api/data/database'
import { createApi } from '@sluice-examples/cities-api/servers/create'
import { readSettings } from '@sluice-examples/cities-api/settings'
import { onParentGone } from './parent.ts'
import { askedDatabase } from './shared-database.ts'

// Ctrl-C reaches every process of the terminal. The first one tells this one when; if that is gone, so is this.
process.on('SIGINT', () => {})
onParentGone(() => process.exit(1))

/** What was opened, in order: it is closed the other way round. */
const opened: { close(): Promise<void> }[] = []
let stopping = false
process.on('message', async (message) => {
  if (message !== 'stop' || stopping) return
  stopping = true
  for (const each of opened.reverse()) await each.close()
  process.exit(0)
})

/** One of the processes: the cities API, as it is. */
async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env)
  // Who answered: for show.ts, and for whoever is curious. The API knows nothing of it.
  subscribe('http.server.request.start', (message) => {
    const { response } = message as { request: IncomingMessage; response: ServerResponse }
    response.setHeader('X-Served-By', String(process.pid))
  })
  const database = settings.databaseUrl ? await openDatabase(settings, () => {}) : askedDatabase('shared')
  opened.push(database)
  const api = await createApi(createCities(database), settings)
  opened.push(api)
  const { port } = await api.listen(settings.port, settings.host)
  process.send?.({ listens: port })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
