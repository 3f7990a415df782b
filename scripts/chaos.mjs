// npm run test:chaos -- [seconds] [seed]: several processes, a Redis that is frozen, killed and cut off, and every answer
// held against the history. A minute unless told otherwise; the seed that is printed repeats a run's choices.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([
  import('./lib/say.mjs'),
  import('./lib/install.mjs'),
  import('./lib/redis-server.mjs'),
  import('./lib/chaos.mjs'),
]).then(([{ runMain }, { install }, { ensureRedisServer }, { chaos }]) =>
  runMain(async () => {
    await install()
    await ensureRedisServer()
    return chaos(process.argv.slice(2))
  }),
)
