import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkTypes } from './build.mjs'
import { install } from './install.mjs'
import { ensureRedisServer } from './redis-server.mjs'
import { runTool } from './run.mjs'
import { ROOT, say, UserError } from './say.mjs'
import { sum, tallyJest, tallyLine } from './tally.mjs'

/** @typedef {import('./tally.mjs').Tally} Tally */

/**
 * Installs, lints, type-checks and tests, and ends with the line that sums it all up.
 *
 * @param {string[]} jestArgs handed on to Jest
 * @returns {Promise<number>} the exit code
 */
export async function test(jestArgs) {
  /** @type {Tally[]} */
  const tallies = []
  try {
    await install()
    if (existsSync(join(ROOT, 'packages', 'redis'))) await ensureRedisServer()
    say('Checking style with Biome')
    tallies.push(step(await runTool('@biomejs/biome/bin/biome', ['check', '--error-on-warnings'])))
    say('Checking types with TypeScript')
    tallies.push(step(await checkTypes()))
    say(`Running the tests on Node ${process.versions.node}`)
    tallies.push(await jest(jestArgs))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`${error.message}\n`)
    tallies.push({ passed: 0, failed: 1, skipped: 0 })
  }
  const total = sum(tallies)
  console.log(tallyLine(total))
  return total.failed === 0 ? 0 : 1
}

/** @param {import('./run.mjs').Ended} ended @returns {Tally} */
function step({ code, interrupted }) {
  if (interrupted) throw new UserError('Stopped.')
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }
}

/** @param {string[]} jestArgs @returns {Promise<Tally>} */
async function jest(jestArgs) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  try {
    const file = join(folder, 'results.json')
    const { code, interrupted } = await runTool(
      'jest/bin/jest.js',
      ['--json', `--outputFile=${file}`, ...jestArgs],
      // Jest runs ES modules in contexts of its own, for which Node still wants a flag, and warns of it.
      // Types were checked before, and what is compiled fell out of it: programs of examples are run as they are started.
      { env: { SLUICE_BUILT: '1' }, nodeArgs: ['--experimental-vm-modules', '--no-warnings'] },
    )
    if (interrupted) throw new UserError('Stopped.')
    return tallyJest(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined, code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
