import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '@sluice-examples/cities-api/data/database'
import { loadCities } from '@sluice-examples/cities-api/data/load'
import { checkPort } from '@sluice-examples/cities-api/http/listen'
import { createProgress } from '@sluice-examples/cities-api/progress'
import { StartError } from '@sluice-examples/cities-api/start-error'
import { isInstalled } from './kept-server.ts'
import { startNginx } from './nginx.ts'
import { startRedis } from './redis-server.ts'
import { freePort } from './running.ts'
import { readSettings } from './settings.ts'
import { startWorkers } from './workers.ts'

const say = (message: string) => console.log(message)
/** What was started, in order: it is stopped the other way round. */
const started: (() => Promise<void>)[] = []

async function main(): Promise<void> {
  const { api, processes, front } = readSettings(process.argv.slice(2), process.env)
  const behindNginx = front !== 'node' && isInstalled('nginx')
  if (front === 'nginx' && !behindNginx) {
    throw new StartError(
      'nginx is not installed: install it (Debian: apt install nginx), or do without it by FRONT=node.',
    )
  }
  await checkPort(api.port, api.host)
  const port = api.port || (await freePort())
  const redisUrl = api.redisUrl ?? (await startOwnRedis())
  const database = await openDatabase(api, say)
  started.push(() => database.close())
  await loadCities(database, createProgress('Loading cities', process.stdout))

  const address = behindNginx
    ? { HOST: '127.0.0.1', PORT: '0', BEHIND_PROXY: '1' }
    : { HOST: api.host, PORT: `${port}` }
  const workers = await startWorkers({
    count: processes,
    args: [api.framework],
    // Wrong passwords: so many that a hundred requests are not all refused, for show.ts.
    env: { LIMIT_LOGIN: '100 per 15 minutes', ...process.env, ...address, REDIS_URL: redisUrl },
    sharePort: !behindNginx,
    database,
    say,
  })
  started.push(workers.stop)
  if (behindNginx) {
    const nginx = await startNginx(api.host, port, workers.ports)
    started.push(nginx.stop)
    nginx.ended.then(() => {
      if (!stopping) fail(new StartError('nginx has ended, and nobody else can be asked: stopping the rest.'))
    })
  }

  const base = `http://${api.host}:${port}`
  const show = relative(process.cwd(), fileURLToPath(new URL('./show.js', import.meta.url)))
  say(`
${processes} processes of cities-api on ${api.framework} behind ${behindNginx ? 'nginx' : "Node's cluster module"}, with \
${database.name} and ${redisUrl.replace(/\/\/.*@/, '//')}, listen on ${base}

  What each of them finds in the cache, and one limit for all of them:
    node ${show} ${base}

  Ctrl-C stops.
`)
}

async function startOwnRedis(): Promise<string> {
  const redis = await startRedis(say)
  started.push(redis.stop)
  return redis.url
}

let stopping: Promise<void> | undefined

/** Front first, data last. */
function stopAll(): Promise<void> {
  stopping ??= (async () => {
    for (const stop of started.reverse()) await stop()
  })()
  return stopping
}

async function fail(error: unknown): Promise<void> {
  console.error(error instanceof StartError ? error.message : error)
  await stopAll()
  process.exit(1)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!stopping) say('Stopping …')
    stopAll().then(() => process.exit(0), fail)
  })
}

main().catch(fail)
