// npm run page:shots
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
const { join } = await import('node:path')
const { pathToFileURL } = await import('node:url')
const { ROOT, runMain, say } = await import('./lib/say.mjs')
const { install } = await import('./lib/install.mjs')

runMain(async () => {
  await install()
  const { build } = await import('esbuild')
  const outfile = join(ROOT, 'node_modules', '.cache', 'page-shots.mjs')
  // The made-up server is the tests', in TypeScript.
  await build({
    entryPoints: [join(ROOT, 'test', 'dashboard', 'page', 'support', 'shots.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  })
  const { takeShots } = await import(pathToFileURL(outfile).href)
  for (const file of await takeShots(join(ROOT, 'docs', 'images'))) say(file)
  return 0
})
