import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './run.mjs'
import { say, UserError } from './say.mjs'

/**
 * Where a program is, or undefined.
 *
 * @param {string} name
 * @param {string} [path] the search path
 */
export function findProgram(name, path = process.env.PATH ?? '') {
  const folder = path.split(delimiter).find((each) => each !== '' && existsSync(join(each, name)))
  return folder === undefined ? undefined : join(folder, name)
}

/** @typedef {{ kind: 'run', commands: string[][] } | { kind: 'tell', sentence: string }} Remedy */

/**
 * How this machine gets a redis-server: the commands to run, or the sentence to print where we may not run them.
 *
 * @param {{ platform: string, root: boolean, has: (program: string) => boolean }} machine
 * @returns {Remedy}
 */
export function redisRemedy({ platform, root, has }) {
  if (has('apt-get') && root) {
    return {
      kind: 'run',
      commands: [
        ['apt-get', 'update', '-qq'],
        ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'redis-server'],
      ],
    }
  }
  if (platform === 'darwin' && has('brew')) return { kind: 'run', commands: [['brew', 'install', 'redis']] }
  const how = has('apt-get')
    ? 'run "sudo apt-get install redis-server"'
    : platform === 'darwin'
      ? 'install Homebrew from https://brew.sh and run "brew install redis"'
      : has('dnf')
        ? 'run "sudo dnf install redis"'
        : has('apk')
          ? 'run "apk add redis"'
          : 'install Redis 7 or newer so that "redis-server" is on the PATH'
  return { kind: 'tell', sentence: `The tests start their own redis-server, and there is none here: ${how}.` }
}

/**
 * Makes sure that `redis-server` can be started, or the server that SLUICE_REDIS_SERVER names.
 *
 * @throws UserError with the command to run, when we may not or could not run it
 */
export async function ensureRedisServer() {
  const named = process.env.SLUICE_REDIS_SERVER
  if (named) {
    if (existsSync(named) || findProgram(named)) return
    throw new UserError(`SLUICE_REDIS_SERVER names "${named}", and there is no such program.`)
  }
  if (findProgram('redis-server')) return
  const remedy = redisRemedy({
    platform: process.platform,
    root: process.getuid?.() === 0,
    has: (program) => findProgram(program) !== undefined,
  })
  if (remedy.kind === 'tell') throw new UserError(remedy.sentence)
  for (const [command, ...args] of remedy.commands) {
    say(`Installing Redis for the tests: ${[command, ...args].join(' ')}`)
    const env = { DEBIAN_FRONTEND: 'noninteractive', HOMEBREW_NO_AUTO_UPDATE: '1' }
    const { code, interrupted, output } = await run(String(command), args, { env, capture: true })
    if (interrupted) throw new UserError('Stopped.')
    if (code !== 0) {
      throw new UserError(`${output.trim()}\nRedis could not be installed: "${[command, ...args].join(' ')}" failed.`)
    }
  }
  if (!findProgram('redis-server')) throw new UserError('Redis was installed, but redis-server is not on the PATH.')
}
