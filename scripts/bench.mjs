/** `npm run bench [-- NAME [ARG …]]`: builds, then runs the benchmarks of test/bench, or the one that is named. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { requireNode } from './lib/node-version.mjs'

requireNode()
const { ROOT, runMain, say, UserError } = await import('./lib/say.mjs')
const { install } = await import('./lib/install.mjs')
const { build } = await import('./lib/build.mjs')
const { run } = await import('./lib/run.mjs')

runMain(async () => {
  const folder = join(ROOT, 'test', 'bench')
  const known = readdirSync(folder)
    .filter((file) => file.endsWith('.mjs') && !file.endsWith('-servers.mjs'))
    .map((file) => file.slice(0, -4))
  const [name, ...args] = process.argv.slice(2)
  if (name !== undefined && !known.includes(name)) {
    throw new UserError(`There is no benchmark "${name}". Known: ${known.join(', ')}.`)
  }
  await install()
  await build()
  for (const each of name === undefined ? known : [name]) {
    say(`benchmark ${each}`)
    const { code } = await run(process.execPath, ['--expose-gc', join(folder, `${each}.mjs`), ...args], { cwd: ROOT })
    if (code !== 0) throw new UserError(`The benchmark ${each} ended with code ${code}.`)
  }
  return 0
})
