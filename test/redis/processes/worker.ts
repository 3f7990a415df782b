// One process of an application: items that live in a database behind HTTP, cached in Redis. Its calendar may be wrong.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSluice } from '@sluice/node'
import { Cluster } from 'ioredis'
import { redis } from '../library.ts'

const { DATABASE = '', OPTIONS = '{}', REDIS = '', TIMEOUT = '5s', NODES, CLOCK_OFFSET = '0' } = process.env
const calendar = Date.now
Date.now = () => calendar() + Number(CLOCK_OFFSET)
const target = NODES ? new Cluster(JSON.parse(NODES)) : REDIS
const sluice = createSluice({ backend: redis(target, JSON.parse(OPTIONS)) })
let events = 0
sluice.on('error', () => events++)
const cached = sluice.cache('1m', {
  tags: (r) => [`item:${r.request.path.split('/')[2]}`],
  timeout: TIMEOUT,
  guard: 'off',
})

const ask = async (path: string, method = 'GET'): Promise<string> =>
  (await fetch(`${DATABASE}${path}`, { method })).text()

/** The same items, as values of a memo. */
const remembered = sluice.memo((item: string) => ask(`/items/${item}`), {
  name: 'items',
  ttl: '1m',
  timeout: TIMEOUT as '5s',
  tags: (value) => [`item:${value.split('=')[0]}`],
})

async function recall(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const before = remembered.info().hits
  const value = await remembered(req.url!.split('/')[2]!)
  res.setHeader('cache-status', remembered.info().hits > before ? 'memo; hit' : 'memo')
  res.end(value)
}

async function read(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const value = await ask(req.url!)
  res.setHeader('content-type', 'text/plain')
  if (value.startsWith('private')) res.setHeader('cache-control', 'private')
  res.end(value)
}

/** Answers 200 when nobody can be given the old value any more, 202 when that is not certain. */
async function write(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const value = await ask(req.url!, 'POST')
  const item = req.url!.split('/')[2]!
  const purged = await sluice.purge({ tags: [`item:${item}`] }).then(
    () => true,
    () => false,
  )
  res.statusCode = purged ? 200 : 202
  res.end(value)
}

const server = createServer((req, res) => {
  const failed = (error: unknown): void => {
    res.statusCode = 500
    res.end(String(error))
  }
  if (req.url === '/stats') {
    res.end(JSON.stringify({ ...sluice.stats().cache, events }))
  } else if (req.method === 'POST') {
    write(req, res).catch(failed)
  } else if (req.url!.startsWith('/memo/')) {
    recall(req, res).catch(failed)
  } else {
    cached(req, res, (error?: unknown) => (error ? failed(error) : read(req, res).catch(failed)))
  }
})
server.listen(0, '127.0.0.1', () => console.log(`listening on ${(server.address() as { port: number }).port}`))
