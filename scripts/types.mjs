// npm run types
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
Promise.all([import('./lib/say.mjs'), import('./lib/install.mjs'), import('./lib/build.mjs')]).then(
  ([{ runMain }, { install }, { checkTypes }]) =>
    runMain(async () => {
      await install()
      return (await checkTypes()).code
    }),
)
