// npm start [-- [cluster] express|koa|fastify]
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
Promise.all([import('./lib/say.mjs'), import('./lib/start.mjs')]).then(([{ runMain }, { start }]) =>
  runMain(() => {
    const [first, ...rest] = process.argv.slice(2)
    return first === 'cluster' ? start('cluster', rest) : start('cities-api', process.argv.slice(2))
  }),
)
