/**
 * What metrics and spans cost a hit. First the core alone, which tells nanoseconds and bytes: a hit with and without something
 * attached, in turns. Then whole servers, each a process on a core of its own, whose metrics nobody asks for.
 * `npm run bench -- metrics`; arguments behind it choose servers, or `core`.
 */
import { fileURLToPath } from 'node:url'
import { createSurface } from '@sluice/core'
import { createSluice } from '@sluice/node'
import { attachments, belowUnsampled } from './lib/attachments.mjs'
import { compare } from './lib/compare.mjs'
import { answer, requestFor } from './lib/exchange.mjs'
import { median } from './lib/rounds.mjs'

const hitsPerRound = 50_000
const coreRounds = 41
/** So few that nothing is collected meanwhile. */
const hitsCounted = 500

/** An instance with one stored answer, and how to ask for it: in nanoseconds, or in bytes. */
async function core(attach, within = (run) => run()) {
  const sluice = createSurface(
    undefined,
    (pipeline) => ({ name: pipeline.name, open: (view) => pipeline.open(view) }),
    () => () => {},
    (request) => request,
  )
  attach?.(sluice)
  const pipeline = sluice.cache({ ttl: '1h' })
  await answer(await pipeline.open(requestFor('/')), Buffer.alloc(10_240))
  const view = requestFor('/')
  const hits = (count) =>
    within(() => {
      for (let i = 0; i < count; i++) pipeline.open(view)
    })
  return {
    time() {
      const from = process.cpuUsage()
      hits(hitsPerRound)
      const { user, system } = process.cpuUsage(from)
      return ((user + system) * 1_000) / hitsPerRound
    },
    bytes() {
      global.gc()
      const before = process.memoryUsage().heapUsed
      hits(hitsCounted)
      return (process.memoryUsage().heapUsed - before) / hitsCounted
    },
  }
}

async function ofTheCore(name) {
  const [without, attached] = [
    await core(),
    await core(attachments[name], name === 'otel unsampled' ? belowUnsampled : undefined),
  ]
  for (let i = 0; i < 5; i++) [without.time(), attached.time()]
  const rounds = Array.from({ length: coreRounds }, (_, i) => {
    if (i % 2) {
      const more = attached.time()
      return { base: without.time(), more }
    }
    return { base: without.time(), more: attached.time() }
  })
  const base = median(rounds.map((round) => round.base))
  const added = median(rounds.map((round) => round.more - round.base))
  const bytes = [without, attached].map((one) => median(Array.from({ length: 21 }, () => one.bytes())).toFixed(0))
  console.log(
    `A hit in the core: ${base.toFixed(0)} ns and ${bytes[0]} bytes; with ${name} ${added.toFixed(0)} ns more, ${bytes[1]} bytes.`,
  )
  return added
}

const script = fileURLToPath(new URL('./metrics-servers.mjs', import.meta.url))
const kinds = ['node', 'front', 'express', 'koa', 'fastify']
const wanted = process.argv.slice(2)
// Otherwise the first thing it does is paid for by the first measurement.
await createSluice().close()
const addedNs = new Map()
for (const name of Object.keys(attachments)) addedNs.set(name, await ofTheCore(name))

console.log(
  '\nA 10 kB hit over HTTP: CPU per request, and the median of the ratios of each round (goal: at most 1.010, spans apart).',
)
const measured = ['metrics', 'live page', 'otel metrics', 'otel sampled']
for (const kind of kinds.filter((one) => wanted.length === 0 || wanted.includes(one))) {
  const names = [kind, ...measured.map((name) => `${kind} + ${name}`)]
  const figures = await compare({ script, names, learn: true, rounds: 21, count: 10_000 })
  const base = figures.get(kind).cpu
  for (const name of measured) {
    const ratios = figures
      .get(`${kind} + ${name}`)
      .cpu.map((cpu, i) => cpu / base[i])
      .sort((a, b) => a - b)
    const quarter = (part) => ratios[Math.floor(ratios.length * part)].toFixed(3)
    const share = ((addedNs.get(name) / 1_000 / median(base)) * 100).toFixed(2)
    console.log(
      `${kind.padEnd(8)} ${name.padEnd(16)} ${median(base).toFixed(1).padStart(6)} µs  × ${median(ratios).toFixed(3)} ` +
        `(half of the rounds: ${quarter(0.25)} to ${quarter(0.75)}); what the core adds is ${share} %`,
    )
  }
}
