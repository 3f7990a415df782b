import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startRedis } from './redis-server.ts'

const run = promisify(execFile)
const program = process.env.SLUICE_REDIS_SERVER || 'redis-server'

/** A server that speaks TLS, and whom to trust for it. */
export interface TlsServer {
  readonly url: string
  readonly ca: string
  stop(): Promise<void>
}

/** With a certificate of its own, made by `openssl`. */
export async function startTls(): Promise<TlsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key]
  await run('openssl', [...made, '-out', certificate])
  const port = await freePort()
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate]
  const server = await startRedis('--tls-port', String(port), ...files, '--tls-auth-clients', 'no')
  return {
    url: `rediss://localhost:${port}`,
    ca: readFileSync(certificate, 'utf8'),
    async stop() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A Sentinel that knows where a master is. */
export interface SentinelServer {
  readonly port: number
  readonly name: string
  stop(): Promise<void>
}

export async function startSentinel(masterPort: number): Promise<SentinelServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sentinel-'))
  const [port, name, file] = [await freePort(), 'main', join(folder, 'sentinel.conf')]
  writeFileSync(
    file,
    `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor ${name} 127.0.0.1 ${masterPort} 1\n`,
  )
  const child = spawn(program, [file, '--sentinel'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`The Sentinel on port ${port} ended:\n${said}`)))
    child.stdout.on('data', (part) => {
      said += part
      if (/\+monitor master/.test(said)) resolve()
    })
  })
  return {
    port,
    name,
    async stop() {
      process.removeListener('exit', end)
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
