/**
 * What an entry takes, and whether a hit costs the same among a thousand and among a million. `npm run bench -- entries`.
 * The cache is driven as a host drives it, without sockets: requests are plain objects behind node's own view.
 */
import { Engine, Fields, NodeRequestView } from '@sluice/node'
import { median } from './lib/rounds.mjs'

const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
const requestOf = (url) => ({ method: 'GET', url, headers: { host: 'localhost:3000', accept: '*/*' }, socket })

/** @returns {{ engine: Engine, hit: (i: number) => void, headBytes: number }} */
function fill(entries, bodyBytes) {
  const engine = new Engine({ cache: { maxBytes: '8gb' } })
  const pipeline = engine.cache.pipeline({ ttl: '1h', tags: (r) => [`city:${r.request.path.slice(8)}`] })
  let headBytes = 0
  for (let i = 0; i < entries; i++) {
    // Text as it comes from a socket: characters of its own.
    const url = Buffer.from(`/cities/${i}`).toString('latin1')
    const { exchange } = pipeline.open(new NodeRequestView(requestOf(url)))
    const fields = Fields.from({ 'content-type': 'application/json; charset=utf-8' })
    const head = { status: 200, fields, before: Fields.from(), body: 'whole', length: bodyBytes }
    exchange.onHead(head)
    const reply = exchange.onBody(head, Buffer.alloc(bodyBytes, i))
    exchange.onClose('sent')
    headBytes = reply.fields.join('').length
  }
  const held = engine.stats().cache.entries
  if (held !== entries) throw new Error(`${held} of ${entries} are held`)
  return { engine, headBytes, hit: (i) => pipeline.open(new NodeRequestView(requestOf(`/cities/${i}`))) }
}

function heap() {
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

console.log('Heap per entry beside body and headers (goal: at most 600 bytes)')
for (const bodyBytes of [10, 1_000, 10_000]) {
  const entries = bodyBytes > 1_000 ? 20_000 : 100_000
  const before = heap()
  const filled = fill(entries, bodyBytes)
  const each = (heap() - before) / entries
  const counted = filled.engine.stats().cache.bytes / entries
  const beside = each - bodyBytes - filled.headBytes
  console.log(`body ${bodyBytes}: ${beside.toFixed(0)} B (held ${each.toFixed(0)}, counted ${counted.toFixed(0)})`)
  await filled.engine.close()
}

console.log('\nCost of a hit without sockets, by number of entries (rounds in turn; ratios to 1,000)')
const sizes = [1_000, 10_000, 100_000, 1_000_000]
const caches = sizes.map((entries) => ({ entries, ...fill(entries, 10), figures: [] }))
const hits = 200_000
for (let round = 0; round < 12; round++) {
  for (const cache of caches) {
    const started = process.hrtime.bigint()
    // A thousand keys that lie far apart: what is asked for is hot, how much lies around it differs.
    const step = cache.entries / 1_000
    for (let i = 0; i < hits; i++) cache.hit((i % 1_000) * step)
    if (round > 1) cache.figures.push(Number(process.hrtime.bigint() - started) / hits)
  }
}
for (const { entries, figures } of caches) {
  const ratio = median(figures.map((ns, i) => ns / caches[0].figures[i]))
  console.log(`${String(entries).padStart(9)} entries: ${median(figures).toFixed(0)} ns, × ${ratio.toFixed(2)}`)
}
