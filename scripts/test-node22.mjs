// npm run test:node22 [-- arguments for Jest]
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
Promise.all([import('./lib/say.mjs'), import('./lib/other-node.mjs')]).then(([{ runMain }, { testOnNode }]) =>
  runMain(() => testOnNode(22, process.argv.slice(2))),
)
