/**
 * What observed keys cost a hit: nothing was read, three things were read that were not there, and three that were.
 * `npm run bench -- hit-terms`. The cache is driven as a host drives it, without sockets, in rounds in turn; time and
 * garbage as ratios to a hit without terms. A path to another build's `dist/esm/index.js` of @sluice/node behind it pairs
 * the hit without terms with that one's.
 */
import { pathToFileURL } from 'node:url'
import * as here from '@sluice/node'
import { median } from './lib/rounds.mjs'

const other = process.argv.slice(2).find((argument) => argument.endsWith('.js'))
const before = other && (await import(pathToFileURL(other).href))

const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
const headers = { host: 'localhost:3000', accept: '*/*', 'accept-language': 'en', 'user-agent': 'bench', origin: 'a' }
const requestOf = () => ({ method: 'GET', url: '/cities', headers, socket, httpVersionMajor: 1 })

/** One route, filled by a handler that reads this of its request, and a hit of it. */
function route(name, { Engine, Fields, NodeRequestView }, read) {
  const engine = new Engine()
  const pipeline = engine.cache.pipeline({ ttl: '1h' })
  const { exchange } = pipeline.open(new NodeRequestView(requestOf()))
  for (const field of read) exchange.request.reads.read(field)
  const fields = Fields.from({ 'content-type': 'application/json; charset=utf-8' })
  const head = { status: 200, fields, before: Fields.from(), body: 'whole', length: 10_000 }
  exchange.onHead(head)
  exchange.onBody(head, Buffer.alloc(10_000))
  exchange.onClose('sent')
  const hit = () => pipeline.open(new NodeRequestView(requestOf()))
  if (hit().kind !== 'reply') throw new Error(`${name} is no hit`)
  return { name, hit, ns: [], bytes: [] }
}

const routes = [
  route('no terms', here, []),
  route('three absent terms', here, ['cookie', 'authorization', 'x-tenant']),
  route('three terms that are there', here, ['accept-language', 'user-agent', 'origin']),
  ...(before ? [route('no terms, the other build', before, [])] : []),
]

const hits = 100_000
for (let round = 0; round < 30; round++) {
  for (const one of routes) {
    gc()
    const used = process.memoryUsage().heapUsed
    const started = process.hrtime.bigint()
    for (let i = 0; i < 1_000; i++) one.hit()
    one.bytes.push((process.memoryUsage().heapUsed - used) / 1_000)
    for (let i = 1_000; i < hits; i++) one.hit()
    one.ns.push(Number(process.hrtime.bigint() - started) / hits)
  }
}

const [plain] = routes
console.log('A hit without sockets, 10 kB: medians of 30 rounds in turn, ratios to the first')
for (const { name, ns, bytes } of routes) {
  const ratio = median(ns.map((value, i) => value / plain.ns[i]))
  console.log(`${name}: ${median(ns).toFixed(0)} ns (x ${ratio.toFixed(2)}), ${median(bytes).toFixed(0)} B`)
}
process.exit(0)
