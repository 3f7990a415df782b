/** One size of `scale.mjs`, in a process of its own: does what it is told, and says how long it took. */
import { createRequire } from 'node:module'
import { setImmediate as turn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Engine, Fields, NodeRequestView } from '@sluice/node'

// What a store is, is core's; the benchmarks depend on the adapters alone.
const core = createRequire(new URL('../../packages/node/package.json', import.meta.url)).resolve('@sluice/core')
const { MemoryCacheStore, systemClock, everythingTag } = await import(pathToFileURL(core))

const size = Number(process.argv[2])
const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
const clock = systemClock()
const plain = { spec: { fields: [], codings: [] }, select: () => '' }
const bodyBytes = 100

function heap() {
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let engine
let pipeline
const viewOf = (i) =>
  new NodeRequestView({
    method: 'GET',
    // Text as it comes from a socket: characters of its own.
    url: Buffer.from(`/cities/${i}`).toString('latin1'),
    headers: { host: 'localhost:3000', accept: '*/*' },
    socket,
  })

function fillOne(i) {
  const { exchange } = pipeline.open(viewOf(i))
  const fields = Fields.from({ 'content-type': 'application/json; charset=utf-8' })
  const head = { status: 200, fields, before: Fields.from(), body: 'whole', length: bodyBytes }
  exchange.onHead(head)
  exchange.onBody(head, Buffer.alloc(bodyBytes, i))
  exchange.onClose('sent')
}

/**
 * Runs `one` so often, ten to a turn of the loop as requests come, and answers what the longest turn took: of the clock and
 * of this process's CPU what is less, for a machine that others use takes the processor away. The garbage collector counts.
 */
async function inTurns(count, one) {
  let longest = 0
  for (let i = 0; i < count; ) {
    const cpu = process.cpuUsage()
    const started = performance.now()
    for (let j = 0; j < 10 && i < count; j++) one(i++)
    const took = performance.now() - started
    if (took > longest) {
      const { user, system } = process.cpuUsage(cpu)
      longest = Math.max(longest, Math.min(took, (user + system) / 1_000))
    }
    await turn()
  }
  return `${longest.toFixed(1)} ms`
}

/** Nanoseconds for one of so many. */
function timed(count, one) {
  const started = process.hrtime.bigint()
  for (let i = 0; i < count; i++) one(i)
  return { ns: Number(process.hrtime.bigint() - started) / count }
}

/** A store of its own, with so many entries and no more room than these take. */
let store
let next = 0
const group = (i) => (i === 7 ? 'few' : i < 1_000 ? 'thousand' : i < 101_000 ? 'many' : 'rest')
const target = { scheme: 'http', authority: 'localhost:3000', query: '', route: undefined, params: undefined }
function recordFor(path, tags) {
  const now = clock.now()
  const until = now + 3_600_000
  return {
    kind: 'record',
    status: 200,
    fields: ['Content-Type', 'application/json; charset=utf-8'],
    forms: [{ coding: 'identity', body: Buffer.allocUnsafeSlow(bodyBytes), etag: `"${path}-0123456789abcdef"` }],
    dateMs: clock.wall(),
    storedAt: now,
    initialAgeMs: 0,
    staleAt: until,
    whileRevalidateUntil: until,
    ifErrorUntil: until,
    deleteAt: until,
    mustRevalidate: false,
    fillMs: 3,
    shared: true,
    ownTag: true,
    tags,
    target: { ...target, path },
  }
}
function put(i, tags = [group(i)], variant = plain, key = `k:localhost:3000/cities/${i};`) {
  const path = `/cities/${i}`
  const outcome = store.set(key, variant, recordFor(path, tags), store.position(key))
  if (outcome !== 'stored') throw new Error(outcome)
}
const filled = async (maxBytes, count = size) => {
  store = new MemoryCacheStore({ clock, maxBytes })
  next = 0
  return inTurns(count, () => put(next++))
}

const doings = {
  async fill() {
    engine = new Engine({ cache: { maxBytes: '16gb' } })
    pipeline = engine.cache.pipeline({ ttl: '1h', tags: (r) => [`city:${r.request.path.slice(8)}`] })
    // Code is compiled before anything is measured.
    for (let i = 0; i < 3_000; i++) fillOne(i)
    for (let i = 0; i < 30_000; i++) pipeline.open(viewOf(i % 3_000))
    await engine.close()
    engine = new Engine({ cache: { maxBytes: '16gb' } })
    pipeline = engine.cache.pipeline({ ttl: '1h', tags: (r) => [`city:${r.request.path.slice(8)}`] })
    const before = heap()
    const longest = await inTurns(size, fillOne)
    const each = (heap() - before) / size - bodyBytes
    const { bytes, entries } = engine.stats().cache
    if (entries !== size) throw new Error(`${entries} of ${size} are held`)
    return {
      'heap outside bodies, an entry': `${each.toFixed(0)} B`,
      'the same, as it is counted': `${(bytes / size - bodyBytes).toFixed(0)} B`,
      'longest turn while it is filled': longest,
    }
  },
  // A thousand keys that lie far apart: what is asked for is hot, how much lies around it differs.
  hit: () => timed(20_000, (i) => pipeline.open(viewOf((i % 1_000) * (size / 1_000)))),
  get() {
    if (store === undefined) {
      store = new MemoryCacheStore({ clock, maxBytes: 16 * 2 ** 30 })
      for (next = 0; next < size; next++) put(next)
    }
    // Glued together, as a request's key is: a text whose hash is known already would be cheaper.
    return timed(50_000, (i) => store.get(`k:localhost:3000/cities/${(i % 1_000) * (size / 1_000)};`, plain.select))
  },
  store: () => timed(1_000, () => put(next++)),
  async full() {
    await engine.close()
    engine = undefined
    const { bytes, entries } = store.usage()
    // A quarter more than there is room for, so that many had to leave, and what is remembered of them has its size.
    await filled((bytes / entries) * size)
    for (let i = 0; i < size / 4; i++) put(next++)
    const longest = await inTurns(Math.max(size / 20, 10_000), () => put(next++))
    const burst = await inTurns(1, bigOne)
    return {
      'longest turn while each store evicts': longest,
      'one store of 1 MB, which evicts up to 1,000': burst,
    }
  },
  evict: () => timed(1_000, () => put(next++)),
  async flood() {
    // A working set that is in use, and one client who asks for as many others as there is room for, once each.
    const { entries } = store.usage()
    const hot = Math.floor(entries / 4)
    const first = next
    const isThere = (i) => store.get(`k:localhost:3000/cities/${i};`, plain.select).kind === 'record'
    for (let i = 0; i < hot; i++) {
      put(next++)
      isThere(first + i)
      isThere(first + i)
    }
    await inTurns(entries, () => put(next++))
    let left = 0
    for (let i = 0; i < hot; i++) {
      if (isThere(first + i)) left++
    }
    return { 'of a working set of a quarter, left after a flood': `${((100 * left) / hot).toFixed(0)} %` }
  },
  async 'after purge'() {
    if (size < 100_000) return {}
    await filled(16 * 2 ** 30, Math.min(size, 200_000))
    const { entries } = store.usage()
    let longest = 0
    const started = performance.now()
    store.invalidate(['t:many'], 'purge')
    longest = performance.now() - started
    let i = 1_000
    const asked = await inTurns(100_000, () => store.get(`k:localhost:3000/cities/${i++};`, plain.select))
    const gone = entries - store.usage().entries
    return {
      'longest turn of a purge of 100,000': `${longest.toFixed(2)} ms`,
      'longest turn while these are asked for': asked,
      'given back by then': gone.toLocaleString('en'),
    }
  },
  async tags() {
    store.invalidate([everythingTag], 'purge')
    await filled(16 * 2 ** 30, 1_000)
    const before = store.usage().bytes
    const longest = await inTurns(size, (i) => store.invalidate([`t:other:${i}`], 'purge'))
    const held = store.usage().bytes - before
    return {
      'as many purges of other tags: longest turn': longest,
      'the same: what is remembered of them': `${(held / 2 ** 20).toFixed(1)} MiB`,
    }
  },
  async variants() {
    store = undefined
    const before = heap()
    store = new MemoryCacheStore({ clock, maxBytes: 16 * 2 ** 30 })
    const many = Math.min(size, 200_000)
    const longest = await inTurns(many, (i) => {
      const secondary = JSON.stringify([`value ${i % 16}`])
      const variant = { spec: { fields: ['x-kind'], codings: [] }, select: () => secondary }
      put(i, ['t'], variant, `k:localhost:3000/cities/${Math.floor(i / 16)};`)
    })
    const each = (heap() - before) / many - bodyBytes
    const counted = store.usage().bytes / many - bodyBytes
    return {
      'as variants, 16 a key (200,000 at most): heap': `${each.toFixed(0)} B`,
      'the same, as it is counted': `${counted.toFixed(0)} B`,
      'the same: longest turn while they are stored': longest,
    }
  },
}
let purges = 0
function bigOne() {
  const record = recordFor('/big', [])
  record.forms[0].body = Buffer.allocUnsafeSlow(1_000_000)
  store.set('big', plain, record, store.position('big'))
}
/** A tag with so many members, each of which was looked at since the last invalidation. */
function purge(members) {
  const tag = `members:${members}:${purges++}`
  for (let i = 0; i < Math.min(members, size); i++) put(i, [tag])
  return timed(1, () => store.invalidate([`t:${tag}`], 'purge'))
}

process.on('message', async (what) => {
  const [name, count] = what.startsWith('purge ') ? ['purge', Number(what.slice(6))] : [what]
  process.send(name === 'purge' ? purge(count) : await doings[what]())
})
process.on('disconnect', () => process.exit())
