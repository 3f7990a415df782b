// npm run test:browser, test:observe, test:packed [-- arguments for Jest]: what takes minutes, and has a short form in `npm test`.
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
const { runMain } = await import('./lib/say.mjs')
const { install } = await import('./lib/install.mjs')
const { runTool } = await import('./lib/run.mjs')

const runs = {
  browser: { env: { SLUICE_TEST_BROWSER: 'all' }, args: ['test/dashboard/page/'] },
  observe: { env: { SLUICE_TEST_OBSERVE: 'all' }, args: ['test/examples/observe'] },
  // The tarballs as a user gets them, their types with each compiler in each project and each way to resolve.
  packed: { env: { SLUICE_PACKED: 'whole' }, args: ['--verbose', 'test/repo/packed.test'] },
}

runMain(async () => {
  await install()
  const [name, ...more] = process.argv.slice(2)
  const { env, args } = runs[/** @type {keyof typeof runs} */ (name)]
  const nodeArgs = ['--experimental-vm-modules', '--no-warnings']
  return (await runTool('jest/bin/jest.js', [...args, ...more], { env, nodeArgs })).code
})
