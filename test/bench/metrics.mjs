/**
 * What metrics cost a hit. First the core alone, which tells nanoseconds: a hit with and without figures attached, in turns.
 * Then whole servers, each a process on a core of its own, with prom-client and a registry that is not asked.
 * `npm run bench -- metrics`; arguments behind it choose servers.
 */
import { fileURLToPath } from 'node:url'
import { Engine } from '@sluice/core'
import { createSluice } from '@sluice/node'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
import { compare } from './lib/compare.mjs'
import { answer, requestFor } from './lib/exchange.mjs'
import { median } from './lib/rounds.mjs'

const hitsPerRound = 50_000
const coreRounds = 41

/** An instance with one stored answer, and how to ask for it. */
async function core(attached) {
  const engine = new Engine()
  const source = { on: (name, listener) => engine.events.on(name, listener), stats: () => engine.stats() }
  if (attached) prometheus(source, { registry: new Registry() })
  const pipeline = engine.cache.pipeline({ ttl: '1h' })
  await answer(await pipeline.open(requestFor('/')), Buffer.alloc(10_240))
  const view = requestFor('/')
  return () => {
    const from = process.hrtime.bigint()
    for (let i = 0; i < hitsPerRound; i++) pipeline.open(view)
    return Number(process.hrtime.bigint() - from) / hitsPerRound
  }
}

async function ofTheCore() {
  const [without, attached] = [await core(false), await core(true)]
  for (let i = 0; i < 5; i++) [without(), attached()]
  const rounds = Array.from({ length: coreRounds }, (_, i) => {
    if (i % 2) {
      const more = attached()
      return { base: without(), more }
    }
    return { base: without(), more: attached() }
  })
  const base = median(rounds.map((round) => round.base))
  const added = median(rounds.map((round) => round.more - round.base))
  console.log(`A hit in the core: ${base.toFixed(0)} ns; with figures attached ${added.toFixed(0)} ns more.`)
  return added
}

const script = fileURLToPath(new URL('./metrics-servers.mjs', import.meta.url))
const kinds = ['node', 'front', 'express', 'koa', 'fastify']
const wanted = process.argv.slice(2)
// Otherwise the first thing it does is paid for by the first measurement.
await createSluice().close()
const addedNs = await ofTheCore()

console.log(
  '\nA 10 kB hit over HTTP: CPU per request, and the median of the ratios of each round (goal: at most 1.010).',
)
for (const kind of kinds.filter((one) => wanted.length === 0 || wanted.includes(one))) {
  const names = [kind, `${kind} + metrics`]
  const figures = await compare({ script, names, learn: true, rounds: 21, count: 10_000 })
  const [base, more] = names.map((name) => figures.get(name).cpu)
  const ratios = more.map((cpu, i) => cpu / base[i]).sort((a, b) => a - b)
  const quarter = (part) => ratios[Math.floor(ratios.length * part)].toFixed(3)
  const share = ((addedNs / 1_000 / median(base)) * 100).toFixed(2)
  console.log(
    `${kind.padEnd(8)} ${median(base).toFixed(1).padStart(6)} µs  × ${median(ratios).toFixed(3)} ` +
      `(half of the rounds: ${quarter(0.25)} to ${quarter(0.75)}); what the core adds is ${share} %`,
  )
}
