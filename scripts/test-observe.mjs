// npm run test:observe [-- arguments for Jest]
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
const { runMain } = await import('./lib/say.mjs')
const { install } = await import('./lib/install.mjs')
const { runTool } = await import('./lib/run.mjs')

runMain(async () => {
  await install()
  const args = ['test/examples/observe', ...process.argv.slice(2)]
  const { code } = await runTool('jest/bin/jest.js', args, {
    env: { SLUICE_TEST_OBSERVE: 'all' },
    nodeArgs: ['--experimental-vm-modules', '--no-warnings'],
  })
  return code
})
