/**
 * What compression costs. A compressed hit against an identity hit of the same server; and, without a cache, Sluice
 * against `compression`, `koa-compress` and `@fastify/compress` on the same bytes at the same gzip level.
 * `npm run bench -- compress`; arguments behind it choose groups (`hits`, `express`, `koa`, `fastify`).
 */
import { fileURLToPath } from 'node:url'
import { compare, report } from './lib/compare.mjs'
import { median } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('./compress-servers.mjs', import.meta.url))
const wanted = process.argv.slice(2)
const chosen = (name) => wanted.length === 0 || wanted.includes(name)
const headers = { 'Accept-Encoding': 'gzip' }

console.log(`${Number(process.env.BODY ?? 10_240)} bytes of JSON. Ratios are medians over rounds.`)
if (chosen('hits')) {
  const names = ['hit, no compress', 'hit, identity', 'hit, gzip', 'hit, br']
  const figures = await compare({ script, names, headers })
  report('hits', figures, 'hit, identity')
  console.log(
    `CPU, gzip hit against identity hit: × ${ratio(figures, 'hit, gzip', 'hit, identity')} (goal: at most 1.05)`,
  )
  console.log(`CPU, gzip hit against no compressor: × ${ratio(figures, 'hit, gzip', 'hit, no compress')}`)
}

const peers = { express: 'express + compression', koa: 'koa + koa-compress', fastify: 'fastify + @fastify/compress' }
for (const [framework, peer] of Object.entries(peers).filter(([name]) => chosen(name))) {
  const names = [peer, `${framework} + sluice`]
  const figures = await compare({ script, names, headers, rounds: 5, count: 4_000, warmUp: 4_000 })
  report(`${framework}, compressed each time`, figures, peer)
  console.log(`CPU against ${peer}: × ${ratio(figures, `${framework} + sluice`, peer)} (goal: at most 1)`)
}

function ratio(figures, name, base) {
  const [ours, theirs] = [figures.get(name).cpu, figures.get(base).cpu]
  return median(ours.map((value, i) => value / theirs[i])).toFixed(3)
}
