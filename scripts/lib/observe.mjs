import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT, say } from './say.mjs'

/** How long a program may take until it answers. Grafana makes its database at the first start. */
const patienceMs = 60_000

/** Where Debian's package of Grafana has what is not a program. */
const grafanaHome = '/usr/share/grafana'

/**
 * Starts Prometheus, and Grafana with the dashboard, beside an application: on free ports of this machine alone, with all they write
 * in a temporary directory. What is not installed is left out, and what to install is said.
 *
 * @param {string} target host and port of the application, with `/metrics`
 * @param {string} [path] where programs are looked for
 * @returns {Promise<{ prometheus: string | undefined, grafana: string | undefined, stop(): Promise<void> }>} where they listen
 */
export async function observe(target, path = process.env.PATH ?? '') {
  const env = { ...process.env, PATH: path }
  const isThere = (/** @type {string} */ name) => spawnSync(name, ['--version'], { env }).error === undefined
  if (!isThere('prometheus')) {
    say('Prometheus is not installed, so the figures are at /metrics alone. On Debian: apt-get install prometheus')
    return { prometheus: undefined, grafana: undefined, stop: async () => {} }
  }
  const directory = mkdtempSync(join(tmpdir(), 'sluice-observe-'))
  /** @type {(() => Promise<void>)[]} */
  const ends = [async () => rmSync(directory, { recursive: true, force: true })]
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  try {
    const prometheus = await startPrometheus({ target, directory, env, ends })
    say(`Prometheus listens on ${prometheus}`)
    let grafana
    if (isThere('grafana-server')) {
      grafana = await startGrafana({ prometheus, directory, env, ends })
      say(`Grafana listens on ${grafana}/d/sluice`)
    } else {
      say(
        'Grafana is not installed. Debian has no package of it: see https://grafana.com/docs/grafana/latest/setup-grafana/',
      )
    }
    return { prometheus, grafana, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @typedef {{ directory: string, env: NodeJS.ProcessEnv, ends: (() => Promise<void>)[] }} Place
 * @param {Place & { target: string }} options
 */
async function startPrometheus({ target, directory, env, ends }) {
  const port = await freePort()
  const config = {
    global: { scrape_interval: '2s', evaluation_interval: '10s' },
    rule_files: [join(ROOT, 'grafana', 'alerts.yml')],
    scrape_configs: [{ job_name: 'cities-api', static_configs: [{ targets: [target] }] }],
  }
  // JSON is YAML.
  writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config))
  const url = `http://127.0.0.1:${port}`
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--storage.tsdb.retention.time=1d',
    '--enable-feature=exemplar-storage',
  ]
  await startProgram('prometheus', args, `${url}/-/ready`, { env, ends })
  return url
}

/** @param {Place & { prometheus: string }} options */
async function startGrafana({ prometheus, directory, env, ends }) {
  const port = await freePort()
  const provisioning = join(directory, 'provisioning')
  const dashboards = join(directory, 'dashboards')
  for (const folder of ['datasources', 'dashboards']) mkdirSync(join(provisioning, folder), { recursive: true })
  mkdirSync(dashboards)
  cpSync(join(ROOT, 'grafana', 'sluice.json'), join(dashboards, 'sluice.json'))
  const source = {
    name: 'Prometheus',
    type: 'prometheus',
    uid: 'prometheus',
    url: prometheus,
    access: 'proxy',
    isDefault: true,
  }
  const provider = { name: 'sluice', type: 'file', options: { path: dashboards } }
  writeFileSync(
    join(provisioning, 'datasources', 'sluice.yaml'),
    JSON.stringify({ apiVersion: 1, datasources: [source] }),
  )
  writeFileSync(
    join(provisioning, 'dashboards', 'sluice.yaml'),
    JSON.stringify({ apiVersion: 1, providers: [provider] }),
  )
  const url = `http://127.0.0.1:${port}`
  const settings = {
    GF_SERVER_HTTP_ADDR: '127.0.0.1',
    GF_SERVER_HTTP_PORT: String(port),
    GF_PATHS_DATA: join(directory, 'grafana'),
    GF_PATHS_LOGS: join(directory, 'grafana-log'),
    GF_PATHS_PLUGINS: join(directory, 'grafana-plugins'),
    GF_PATHS_PROVISIONING: provisioning,
    // On this machine alone, for whoever looks: nobody has to sign in, and nobody can change anything.
    GF_AUTH_ANONYMOUS_ENABLED: 'true',
    GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
    GF_ANALYTICS_REPORTING_ENABLED: 'false',
    GF_ANALYTICS_CHECK_FOR_UPDATES: 'false',
  }
  const args = existsSync(grafanaHome) ? ['--homepath', grafanaHome] : []
  await startProgram('grafana-server', args, `${url}/api/health`, { env: { ...env, ...settings }, ends })
  return url
}

/**
 * Starts a program, and waits until it answers.
 *
 * @param {string} name
 * @param {readonly string[]} args
 * @param {string} healthUrl
 * @param {Omit<Place, 'directory'>} place
 */
async function startProgram(name, args, healthUrl, { env, ends }) {
  // In a group of its own: Ctrl-C is for the application, after which the rest is ended in order.
  const child = spawn(name, args, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-4_000)
  })
  const ended = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  ends.push(async () => {
    process.off('exit', kill)
    child.kill('SIGTERM')
    await ended
  })
  const untilMs = performance.now() + patienceMs
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} has ended:\n${said}`)
    const answer = await fetch(healthUrl, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
    if (answer?.ok) return
    if (performance.now() > untilMs) throw new Error(`${name} does not answer:\n${said}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}
