import { join } from 'node:path'
import { buildEsm } from './build.mjs'
import { install } from './install.mjs'
import { run } from './run.mjs'
import { ROOT, say, UserError } from './say.mjs'
import { workspacePackages } from './workspace.mjs'

/**
 * Installs, builds and runs an example until it is stopped.
 *
 * @param {string} name of the folder below examples/
 * @param {string[]} args for the example
 * @returns {Promise<number>} the exit code
 */
export async function start(name, args) {
  await install()
  const dir = join(ROOT, 'examples', name)
  const example = workspacePackages('examples').find((each) => each.dir === dir)
  if (!example) throw new UserError(`There is no example in ${dir}.`)
  say('Building')
  await buildEsm([...workspacePackages('packages'), example])
  say(`Starting examples/${name}`)
  // Whoever tries it out sees what is open in development alone.
  process.env.NODE_ENV ||= 'development'
  const { code, interrupted } = await run(process.execPath, [join(dir, 'dist', 'main.js'), ...args])
  // Stopped by Ctrl-C before it listened for one is stopped all the same.
  return interrupted && code > 128 ? 0 : code
}
