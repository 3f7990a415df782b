// npm run test:packed: the tarballs as a user gets them, their types with each compiler in each project and each way to
// resolve. `npm test` does the same with one project for each of these.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([import('./lib/say.mjs'), import('./lib/install.mjs'), import('./lib/run.mjs')]).then(
  ([{ runMain }, { install }, { runTool }]) =>
    runMain(async () => {
      await install()
      const env = { SLUICE_PACKED: 'whole' }
      const nodeArgs = ['--experimental-vm-modules', '--no-warnings']
      return (await runTool('jest/bin/jest.js', ['--verbose', 'test/repo/packed.test'], { env, nodeArgs })).code
    }),
)
