// npm run test:servers: the tests of the stores against every Redis, Valkey and kin that this machine has, or that its
// package manager can unpack into .cache. Arguments go to Jest in place of the usual files. Ends with a line per server.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([
  import('./lib/say.mjs'),
  import('./lib/install.mjs'),
  import('./lib/redis-server.mjs'),
  import('./lib/other-servers.mjs'),
  import('./lib/run.mjs'),
]).then(([{ runMain, say }, { install }, { ensureRedisServer }, { findServers }, { runTool }]) =>
  runMain(async () => {
    await install()
    await ensureRedisServer()
    const cache = ['contract', 'store', 'look-ups', 'forms', 'tier', 'cluster', 'isolation', 'acl', 'ready', 'restart']
    const limits = ['store', 'edges', 'differential', 'blocked', 'lease', 'processes', 'cluster', 'trouble']
    const usual = [...cache, ...limits.map((name) => `limit-${name}`)]
    const given = process.argv.slice(2)
    const files = given.length > 0 ? given : usual.map((name) => `test/redis/${name}.test`)
    const results = []
    for (const { name, program } of await findServers()) {
      say(`${name}: ${program}`)
      const nodeArgs = ['--experimental-vm-modules', '--no-warnings']
      const env = { SLUICE_REDIS_SERVER: program }
      const { code, interrupted } = await runTool('jest/bin/jest.js', ['--runInBand', '--forceExit', ...files], {
        env,
        nodeArgs,
      })
      if (interrupted) return 130
      results.push({ name, passed: code === 0 })
    }
    for (const { name, passed } of results) console.log(`${name}: ${passed ? 'passed' : 'FAILED'}`)
    return results.every(({ passed }) => passed) ? 0 : 1
  }),
)
