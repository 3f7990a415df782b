/**
 * The CPU a limiter adds to a bare route, against the limiter people use on that framework. `legacy` sends the three
 * X-RateLimit fields the others send, the default two fields of the draft. `npm run bench -- limit-http`; arguments
 * behind it choose frameworks.
 *
 * What a limiter adds is said without the kernel's part, which is the same for all and varies more than limiters take.
 * Goal: less than each of them.
 */
import { fileURLToPath } from 'node:url'
import { compare, report } from './lib/compare.mjs'
import { median } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('./limit-http-servers.mjs', import.meta.url))
const peers = { express: 'express-rate-limit', koa: 'koa-ratelimit', fastify: '@fastify/rate-limit' }
const wanted = process.argv.slice(2)
const paths = { '/': 'a route of 11 bytes', '/list': 'a route of 10 kB of JSON' }

console.log('A limit that is never reached. Ratios are medians over rounds.')
for (const [framework, peer] of Object.entries(peers).filter(
  ([name]) => wanted.length === 0 || wanted.includes(name),
)) {
  const theirs = `${framework} + ${peer}`
  const ours = [`${framework} + sluice`, `${framework} + sluice, legacy`]
  for (const [path, what] of Object.entries(paths)) {
    const figures = await compare({ script, names: [framework, ...ours, theirs], path, rounds: 15, count: 5_000 })
    report(`${framework}, ${what}`, figures, framework)
    const added = (name) => figures.get(name).user.map((value, i) => value - figures.get(framework).user[i])
    const base = added(theirs)
    for (const name of ours) {
      const own = added(name)
      const ratio = median(own) / median(base)
      console.log(
        `${name}: adds ${median(own).toFixed(1)} µs, ${peer} ${median(base).toFixed(1)} µs: × ${ratio.toFixed(2)}`,
      )
    }
  }
}
