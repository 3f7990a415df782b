// npm run test:node22, npm run test:node24 [-- arguments for Jest]
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
Promise.all([import('./lib/say.mjs'), import('./lib/other-node.mjs')]).then(([{ runMain }, { testOnNode }]) =>
  runMain(() => testOnNode(Number(process.argv[2]), process.argv.slice(3))),
)
