/**
 * What each kind of answer costs on each framework, in the server's CPU time, as ratios that have a goal: a hit, one by three
 * terms, one behind a limit, behind everything, from Redis's tier in memory, compressed, a 304, and a miss that is stored.
 * `npm run bench -- lean [FRAMEWORK …]`.
 */
import { fileURLToPath } from 'node:url'
import { compare } from './lib/compare.mjs'
import { startRedis } from './lib/redis.mjs'
import { median } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('./lean-servers.mjs', import.meta.url))
const frameworks = ['node', 'express', 'koa', 'fastify']
const wanted = process.argv.slice(2)
const gzip = { 'accept-encoding': 'gzip' }

/** What is measured against what: a server and what it is asked. */
const rows = [
  ['hit', { of: 'hit' }, { of: 'bare' }, 1.08],
  ['hit by three terms', { of: 'terms', headers: { 'x-theme': 'dark' } }, { of: 'bare' }],
  ['hit behind a limit', { of: 'limited' }, { of: 'bare' }],
  ['hit behind compress and limit', { of: 'all' }, { of: 'bare' }, 1.15],
  ['hit in memory, on Redis', { of: 'redis' }, { of: 'bare' }],
  ['gzip hit, against identity', { of: 'compressed', headers: gzip }, { of: 'compressed' }, 1.05],
  ['304, against its 200', { of: 'hit', headers: { 'if-none-match': '*' } }, { of: 'hit' }, 0.9],
  ['stored miss, against no cache', { of: 'hit', unique: true }, { of: 'uncached', unique: true }, 1.25],
]

const redis = await startRedis()
process.env.SLUICE_BENCH_REDIS = redis.url
console.log('10 kB of JSON; CPU of the server a request; medians of the ratios of 7 interleaved rounds.\n')
for (const framework of frameworks.filter((name) => wanted.length === 0 || wanted.includes(name))) {
  console.log(
    `${framework.padEnd(34)}${'µs'.padStart(8)}${'base µs'.padStart(9)}${'ratio'.padStart(8)}${'goal'.padStart(7)}`,
  )
  for (const [title, ours, base, goal] of rows) {
    const sides = [ours, base].map((side, i) => ({ ...side, name: `${framework}: ${side.of}`, id: i }))
    const figures = await compare({
      script,
      names: sides.map(({ id }) => id),
      programs: sides.map(({ name }) => name),
      requests: sides.map(({ headers, unique }) => ({ headers, path: unique ? uniquePath() : '/' })),
      rounds: 7,
      count: 6_000,
      warmUp: 8_000,
    })
    const [mine, theirs] = [...figures.values()].map(({ cpu }) => cpu)
    const cells = [median(mine).toFixed(1), median(theirs).toFixed(1)]
    const ratio = median(mine.map((value, i) => value / theirs[i])).toFixed(2)
    console.log(
      `  ${title.padEnd(32)}${cells[0].padStart(8)}${cells[1].padStart(9)}${ratio.padStart(8)}${(goal ?? '').toString().padStart(7)}`,
    )
  }
}
redis.stop()
process.exit(0)

/** Another URL each time. */
function uniquePath() {
  let n = 0
  return () => `/?n=${n++}`
}
