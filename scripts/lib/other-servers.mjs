import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './redis-server.mjs'
import { run } from './run.mjs'
import { ROOT, say } from './say.mjs'

/** @typedef {{ name: string, program: string }} Server */

/** What is on the search path is tested as it is. */
const PROGRAMS = ['redis-server', 'valkey-server', 'redict-server']

/** What Debian has beside: packages that are unpacked into a folder, and not installed. */
const PACKAGES = [
  { name: 'valkey-8.0', suite: 'bookworm-backports', program: 'valkey' },
  { name: 'redict-7.3', suite: 'bookworm-backports', program: 'redict' },
  { name: 'valkey-8.1', suite: 'trixie', program: 'valkey' },
  { name: 'redis-8.0', suite: 'trixie', program: 'redis' },
]

/**
 * Where the libraries of a suite's programs are, if not in the suite itself.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const BASES = { 'bookworm-backports': ['bookworm'] }

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
  for (const one of PACKAGES) {
    if (await runs(one)) servers.push({ name: one.name, program: programOf(one) })
    else say(`${one.name} cannot be fetched, or does not run here.`)
  }
  return servers
}

/** @typedef {{ name: string, suite: string, program: string }} Package */

/**
 * What is to be started: the program, or what starts it with libraries of its own.
 *
 * @param {Package} one
 */
function programOf({ name, program }) {
  const wrapped = join(CACHE, name, 'bin', `${program}-server`)
  return existsSync(wrapped) ? wrapped : join(CACHE, name, 'usr', 'bin', `${program}-server`)
}

/**
 * Unpacks a server and, where this machine's libraries are not those it needs, libraries beside it.
 *
 * @param {Package} one
 * @returns {Promise<boolean>} whether it runs
 */
async function runs(one) {
  const folder = join(CACHE, one.name)
  const works = async () => (await run(programOf(one), ['--version'], { capture: true })).code === 0
  if (existsSync(programOf(one)) && (await works())) return true
  const options = await packageLists(one.suite)
  const names = [`${one.program}-server`, `${one.program}-tools`].map((name) => `${name}/${one.suite}`)
  mkdirSync(folder, { recursive: true })
  const { code } = await run('apt-get', [...options, 'download', '-qq', ...names], { cwd: folder, capture: true })
  if (code !== 0 || !(await unpack(folder, folder))) return false
  return (await works()) || ((await bringLibraries(one, options)) && (await works()))
}

/**
 * Unpacks the libraries of its suite, down to that of C, and writes programs that start it with these.
 *
 * @param {Package} one
 * @param {readonly string[]} options
 */
async function bringLibraries({ name, suite, program }, options) {
  const folder = join(CACHE, name)
  const archives = join(folder, 'archives')
  const libraries = join(folder, 'libraries')
  for (const each of [join(archives, 'partial'), libraries, join(folder, 'bin')]) mkdirSync(each, { recursive: true })
  const wanted = ['-o', `Dir::Cache::archives=${archives}`, '--no-install-recommends', '-t', suite, '-y', '-qq']
  const fetched = await run('apt-get', [...options, ...wanted, '--download-only', 'install', `${program}-server`], {
    capture: true,
  })
  if (fetched.code !== 0 || !(await unpack(archives, libraries, /^z?lib/))) return false
  const paths = ['usr/lib', 'lib'].flatMap((lib) =>
    filesIn(join(libraries, lib)).flatMap((file) => (file.endsWith('-linux-gnu') ? [join(libraries, lib, file)] : [])),
  )
  const loader = paths.flatMap((path) =>
    filesIn(path)
      .filter((file) => /^ld-linux.*\.so/.test(file))
      .map((file) => join(path, file)),
  )[0]
  if (loader === undefined) return false
  for (const each of [`${program}-server`, `${program}-cli`]) {
    const file = join(folder, 'bin', each)
    const real = join(folder, 'usr', 'bin', each)
    // `exec`: who signals the program signals the server. Its own name tells the server what it is.
    writeFileSync(
      file,
      `#!/bin/sh\nexec '${loader}' --library-path '${paths.join(':')}' --argv0 '${each}' '${real}' "$@"\n`,
    )
    chmodSync(file, 0o755)
  }
  return true
}

/**
 * Lists of packages that are nobody's but ours: the machine's are not touched, nor is what it has installed looked at.
 *
 * @param {string} suite
 * @returns {Promise<string[]>} the options that make apt-get use them
 */
async function packageLists(suite) {
  const folder = join(CACHE, 'lists', suite)
  const sources = join(folder, 'sources.list')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': folder,
  }
  const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  if (existsSync(sources)) return args
  mkdirSync(join(folder, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(folder, 'archives', 'partial'), { recursive: true })
  writeFileSync(join(folder, 'status'), '')
  const suites = [suite, ...(BASES[suite] ?? [])]
  writeFileSync(
    sources,
    suites.map((each) => `deb [signed-by=${keys}] http://deb.debian.org/debian ${each} main\n`).join(''),
  )
  await run('apt-get', [...args, 'update', '-qq'], { capture: true })
  return args
}

/**
 * @param {string} from where packages are
 * @param {string} to where their files go
 * @param {RegExp} [which] by their names
 * @returns {Promise<boolean>} whether all of it is there
 */
async function unpack(from, to, which = /./) {
  for (const file of filesIn(from).filter((name) => name.endsWith('.deb') && which.test(name))) {
    const done = await run('dpkg-deb', ['-x', join(from, file), to], { capture: true })
    if (done.code !== 0) return false
  }
  return true
}

/** @param {string} folder */
function filesIn(folder) {
  return existsSync(folder) ? readdirSync(folder) : []
}
