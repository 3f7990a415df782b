import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from './say.mjs'

/**
 * Runs the long consistency test from its sources.
 *
 * @param {string[]} args seconds and seed
 * @returns {Promise<number>} the exit code
 */
export async function chaos(args) {
  const loader = pathToFileURL(join(ROOT, 'test', 'examples', 'support', 'run-typescript.mjs')).href
  const program = join(ROOT, 'test', 'redis', 'chaos', 'main.ts')
  const nodeArgs = ['--no-warnings', '--conditions=sluice-source', '--import', loader, program]
  // The loader ends the program when its stdin is closed, which is how it learns that we are gone.
  const child = spawn(process.execPath, [...nodeArgs, ...args], { cwd: ROOT, stdio: ['pipe', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  return code ?? 1
}
