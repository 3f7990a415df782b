import { isSluiceError } from '@sluice/core'
import { announcement, baseUrl } from './announce.ts'
import { createCities } from './data/cities.ts'
import { openDatabase } from './data/database.ts'
import { loadCities } from './data/load.ts'
import { cannotListen, checkPort } from './http/listen.ts'
import { warmUp } from './http/warm.ts'
import { createProgress } from './progress.ts'
import { createApi } from './servers/create.ts'
import { readSettings } from './settings.ts'
import { StartError } from './start-error.ts'

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env)
  await checkPort(settings.port, settings.host)
  const database = await openDatabase(settings, (message) => console.log(message))
  await loadCities(database, createProgress('Loading cities', process.stdout))
  const api = await createApi(createCities(database), settings)
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
