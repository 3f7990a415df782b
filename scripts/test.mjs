// npm test [-- arguments for Jest]
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
Promise.all([import('./lib/say.mjs'), import('./lib/test.mjs')]).then(([{ runMain }, { test }]) =>
  runMain(() => test(process.argv.slice(2))),
)
