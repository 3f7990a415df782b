import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './redis-server.mjs'
import { run } from './run.mjs'
import { ROOT, say } from './say.mjs'

/** @typedef {{ name: string, program: string }} Server */

/** What is on the search path is tested as it is. */
const PROGRAMS = ['redis-server', 'valkey-server', 'redict-server']

/** What Debian has beside: packages that are unpacked into a folder, and not installed. */
const PACKAGES = [
  {
    name: 'valkey-8.0',
    suite: 'bookworm-backports',
    packages: ['valkey-server', 'valkey-tools'],
    program: 'valkey-server',
  },
  {
    name: 'redict-7.3',
    suite: 'bookworm-backports',
    packages: ['redict-server', 'redict-tools'],
    program: 'redict-server',
  },
  { name: 'valkey-8.1', suite: 'trixie', packages: ['valkey-server', 'valkey-tools'], program: 'valkey-server' },
  { name: 'redis-8.0', suite: 'trixie', packages: ['redis-server', 'redis-tools'], program: 'redis-server' },
]

const CACHE = join(ROOT, '.cache', 'redis-servers')

/**
 * Every server that this machine has or can unpack, and that runs here. Says of each other one why it does not.
 *
 * @returns {Promise<Server[]>}
 */
export async function findServers() {
  const found = PROGRAMS.flatMap((name) => {
    const program = findProgram(name)
    return program === undefined ? [] : [{ name, program }]
  })
  const servers = [...found, ...(await unpacked())]
  const running = []
  for (const server of servers) {
    const { code, output } = await run(server.program, ['--version'], { capture: true })
    if (code === 0) running.push(server)
    else say(`${server.name} does not run here: ${output.trim().split('\n')[0]}`)
  }
  return running
}

/** @returns {Promise<Server[]>} */
async function unpacked() {
  if (!['apt-get', 'dpkg-deb'].every((program) => findProgram(program))) return []
  const servers = []
  let lists
  for (const { name, suite, packages, program } of PACKAGES) {
    const folder = join(CACHE, name)
    const path = join(folder, 'usr', 'bin', program)
    if (!existsSync(path)) {
      lists ??= await packageLists()
      if (!(await unpack(folder, suite, packages, lists))) {
        say(`${name} cannot be fetched here.`)
        continue
      }
    }
    servers.push({ name, program: path })
  }
  return servers
}

/**
 * Lists of packages that are nobody's but ours: the machine's are not touched.
 *
 * @returns {Promise<string[]>} the options that make apt-get use them
 */
async function packageLists() {
  for (const folder of ['lists/partial', 'archives/partial']) mkdirSync(join(CACHE, folder), { recursive: true })
  const sources = join(CACHE, 'sources.list')
  const suites = [...new Set(PACKAGES.map(({ suite }) => suite))]
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(
    sources,
    suites.map((suite) => `deb [signed-by=${keys}] http://deb.debian.org/debian ${suite} main\n`).join(''),
  )
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(CACHE, 'lists'),
    'Dir::Cache': CACHE,
  }
  const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await run('apt-get', [...args, 'update', '-qq'], { capture: true })
  return args
}

/**
 * @param {string} folder
 * @param {string} suite
 * @param {readonly string[]} packages
 * @param {readonly string[]} lists
 * @returns {Promise<boolean>} whether all of it is there
 */
async function unpack(folder, suite, packages, lists) {
  mkdirSync(folder, { recursive: true })
  const wanted = packages.map((name) => `${name}/${suite}`)
  const { code } = await run('apt-get', [...lists, 'download', '-qq', ...wanted], { cwd: folder, capture: true })
  if (code !== 0) return false
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
    const done = await run('dpkg-deb', ['-x', join(folder, file), folder], { capture: true })
    if (done.code !== 0) return false
  }
  return true
}
