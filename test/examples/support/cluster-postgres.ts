import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../support/redis-server.ts'

export interface PostgresServer {
  readonly url: string
  query(sql: string): string
  stop(): Promise<void>
}

/** Where the programs of PostgreSQL are, where they are: Debian has them apart from the others. */
const folder = (() => {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : []
  return [...versions, ...(process.env.PATH ?? '').split(':')].find((each) => each && existsSync(join(each, 'initdb')))
})()

export const hasPostgres = folder !== undefined

/** A PostgreSQL server of a test's own, which nobody can keep from ending. */
export async function startPostgres(): Promise<PostgresServer> {
  const program = (name: string) => join(folder!, name)
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'cluster-postgres-'))
  // It does not run as root, for whom Debian's package has made an account.
  const account = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  if (account.uid !== undefined) chownSync(directory, account.uid, account.gid)
  const options = { ...account, cwd: directory }
  execFileSync(program('initdb'), ['-D', directory, '-U', 'cities', '-A', 'trust', '-E', 'UTF8', '--no-sync'], {
    ...options,
    stdio: 'ignore',
  })
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((each) => [
    '-c',
    each,
  ])
  const server = spawn(program('postgres'), ['-D', directory, '-p', String(port), ...settings], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // A test run that dies takes its server along.
  const end = () => server.kill('SIGQUIT')
  process.once('exit', end)
  const ended = once(server, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (/ready to accept connections/.test(said)) resolve()
    })
    ended.then(() => reject(new Error(`postgres ended:\n${said}`)))
  })
  const url = `postgres://cities:secret@127.0.0.1:${port}/postgres`
  return {
    url,
    query: (sql) => execFileSync(program('psql'), [url, '-Atc', sql], { encoding: 'utf8' }).trim(),
    async stop() {
      process.removeListener('exit', end)
      end()
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }))
}
