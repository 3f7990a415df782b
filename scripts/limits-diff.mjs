// npm run test:limits-diff -- [steps] [seed]: the memory and the Redis store on the same random histories, a million steps
// unless told otherwise (two minutes), and the exactness of limits over 4, 8 and 16 processes.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([
  import('./lib/say.mjs'),
  import('./lib/install.mjs'),
  import('./lib/redis-server.mjs'),
  import('./lib/run.mjs'),
]).then(([{ runMain }, { install }, { ensureRedisServer }, { runTool }]) =>
  runMain(async () => {
    await install()
    await ensureRedisServer()
    const [steps = '1000000', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2)
    const env = { SLUICE_DIFF_STEPS: steps, SLUICE_DIFF_SEED: seed, SLUICE_LIMIT_PROCESSES: '4,8,16' }
    const nodeArgs = ['--experimental-vm-modules', '--no-warnings']
    const files = ['test/redis/limit-differential', 'test/redis/limit-processes']
    return (await runTool('jest/bin/jest.js', ['--runInBand', '--verbose', ...files], { env, nodeArgs })).code
  }),
)
