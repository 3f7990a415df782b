import { isSluiceError } from '@sluice/core'
import { announcement, baseUrl } from './announce.ts'
import { type Cities, createCities } from './data/cities.ts'
import { openDatabase } from './data/database.ts'
import { loadCities } from './data/load.ts'
import { type Api, cannotListen, checkPort } from './http/listen.ts'
import { warmUp } from './http/warm.ts'
import { createProgress } from './progress.ts'
import { type Framework, readSettings, type Settings } from './settings.ts'
import { StartError } from './start-error.ts'

// Only the chosen framework is loaded.
const servers: Record<Framework, (cities: Cities, settings: Settings) => Promise<Api>> = {
  express: async (cities, settings) => (await import('./servers/express.ts')).createExpressApi(cities, settings),
  koa: async (cities, settings) => (await import('./servers/koa.ts')).createKoaApi(cities, settings),
  fastify: async (cities, settings) => (await import('./servers/fastify.ts')).createFastifyApi(cities, settings),
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env)
  await checkPort(settings.port, settings.host)
  const database = await openDatabase(settings, (message) => console.log(message))
  await loadCities(database, createProgress('Loading cities', process.stdout))
  const api = await servers[settings.framework](createCities(database), settings)
  const { port } = await api.listen(settings.port, settings.host).catch((error) => {
    throw cannotListen(settings.port, settings.host, error)
  })
  stopOnSignal(async () => {
    await api.close()
    await database.close()
  })
  console.log(announcement(settings, database.name, port))
  if (settings.warm) await warmUp(api, baseUrl(settings, port))
}

/** Ctrl-C and `kill` end the program in order: exit code 0, nothing half-written. */
function stopOnSignal(close: () => Promise<void>): void {
  let stopping = false
  const stop = async () => {
    if (stopping) return
    stopping = true
    console.log('Stopping …')
    await close()
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop().catch(fail))
}

function fail(error: unknown): void {
  console.error(error instanceof StartError || isSluiceError(error) ? error.message : error)
  process.exit(1)
}

main().catch(fail)
