import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A real redis-server of a test's own, on a free port, that can be killed, frozen and started again. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Its settings, as `redis-cli` answers them. */
  cli(...args: readonly string[]): Promise<string>
  /** How many calls of each command there were since `resetStats`. */
  calls(): Promise<Readonly<Record<string, number>>>
  resetStats(): Promise<void>
  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(): void
  thaw(): void
  /** SIGKILL. */
  kill(): Promise<void>
  /** After `kill`: again on the same port, empty unless it persists. */
  restart(): Promise<void>
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>
}

const run = promisify(execFile)
// Another server, such as Valkey's, by the name or the path of its program; its client is beside it.
const program = process.env.SLUICE_REDIS_SERVER || 'redis-server'
const client = program.replace(/-server$/, '-cli')

/** Starts a server and waits until it answers. */
export async function startRedis(...settings: readonly string[]): Promise<RedisServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
  let child: ChildProcess | undefined
  const server: RedisServer = {
    port,
    url: `redis://127.0.0.1:${port}`,
    async cli(...args) {
      const { stdout } = await run(client, ['-p', String(port), ...args], { maxBuffer: 64 * 2 ** 20 })
      return stdout.trim()
    },
    async calls() {
      const lines = (await server.cli('INFO', 'commandstats')).split('\n')
      return Object.fromEntries(
        lines.flatMap((line) => {
          const match = /^cmdstat_([^:]+):calls=(\d+)/.exec(line)
          return match ? [[match[1]!, Number(match[2])]] : []
        }),
      )
    },
    async resetStats() {
      await server.cli('CONFIG', 'RESETSTAT')
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child!.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
    async restart() {
      child = await launch(port, folder, settings)
    },
    async stop() {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await server.restart()
  return server
}

async function launch(port: number, folder: string, settings: readonly string[]): Promise<ChildProcess> {
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
  const child = spawn(program, [...fixed, ...settings], { stdio: ['ignore', 'pipe', 'pipe'] })
  // A test run that dies takes its servers along.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('exit', () => process.removeListener('exit', end))
  let said = ''
  child.stdout.on('data', (part) => {
    said += part
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`${program} on port ${port} ended:\n${said}`)))
    child.stdout.on('data', () => {
      if (/Ready to accept connections/.test(said)) resolve()
    })
  })
  child.stdout.removeAllListeners('data').resume()
  child.stderr.resume()
  return child
}

/** A Cluster of masters without replicas, formed and ready. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  stop(): Promise<void>
}

export async function startCluster(masters = 3, replicas = 0): Promise<RedisCluster> {
  const settings = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '1000',
    '--cluster-require-full-coverage',
    'no',
  ]
  const nodes = await Promise.all(
    Array.from({ length: masters * (1 + replicas) }, () => startRedis(...settings, '--repl-diskless-sync-delay', '0')),
  )
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run(client, ['--cluster', 'create', ...addresses, '--cluster-replicas', String(replicas), '--cluster-yes'])
  for (const node of nodes) {
    await until(async () => (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  }
  return { nodes, stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))) }
}

/** A port nobody listens on. Below the ephemeral range, and with room for the bus of a Cluster 10,000 above it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/** Waits for something to become true. */
export async function until(met: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await met())) {
    if (performance.now() > end) throw new Error(`It did not come true within ${withinMs} ms: ${met}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
