// npm run demo:load -- [--rate N] [--for SECONDS] [--url URL]: asks the cities API as clients do, so that its figures move.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([import('./lib/say.mjs'), import('./lib/demo-load.mjs')]).then(([{ runMain }, { demoLoad }]) =>
  runMain(() => demoLoad(process.argv.slice(2))),
)
