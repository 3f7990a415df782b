import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { install, QUIET_NPM } from './install.mjs'
import { run } from './run.mjs'
import { ROOT, say, UserError } from './say.mjs'

/**
 * The binary of another Node, fetched once into .cache/. It is kept out of the workspace's own dependencies, whose
 * .bin would then start everything on it.
 *
 * @param {number} major
 * @returns {Promise<string>} its path
 */
async function fetchNode(major) {
  const folder = join(ROOT, '.cache', `node${major}`)
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node')
  if (existsSync(binary)) return binary
  say(`Fetching Node ${major} from the npm registry into .cache/`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  // Its install script, which picks the binary for this machine, must run whatever the reader's npm says.
  const args = ['install', '--no-save', '--no-package-lock', '--ignore-scripts=false', `node@${major}`]
  const env = { ...QUIET_NPM, npm_config_prefix: undefined }
  const { code, interrupted } = await run('npm', args, { cwd: folder, env })
  if (interrupted) throw new UserError('Stopped.')
  if (code !== 0 || !existsSync(binary))
    throw new UserError(`Node ${major} could not be fetched from the npm registry.`)
  return binary
}

/**
 * Runs the whole of `npm test` on another Node.
 *
 * @param {number} major
 * @param {string[]} jestArgs
 * @returns {Promise<number>} the exit code
 */
export async function testOnNode(major, jestArgs) {
  await install()
  const node = await fetchNode(major)
  // First on the PATH too: what the tests start as `node` must be this one.
  const env = { PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
  const { code } = await run(node, [join(ROOT, 'scripts', 'test.mjs'), ...jestArgs], { env })
  return code
}
