import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { pin } from './pin.mjs'
import { median, rotate } from './rounds.mjs'

const clients = []

/**
 * A redis-server for one benchmark, on a core of its own where the system can do that; this process gets another. Ends
 * with the process.
 */
export async function startRedis() {
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn(process.env.SLUICE_REDIS_SERVER ?? 'redis-server', args, { stdio: 'pipe' })
  process.once('exit', () => server.kill('SIGKILL'))
  for (let told = ''; !told.includes('Ready to accept'); ) told += String((await once(server.stdout, 'data'))[0])
  server.stdout.resume()
  pin(server.pid, 0)
  pin(process.pid, 1)
  const client = async (options) => {
    const made = new Redis({ port, host: '127.0.0.1', ...options })
    clients.push(made)
    await made.ping()
    return made
  }
  const control = await client()
  /** Microseconds of CPU it has used. */
  const cpu = async () => {
    const info = await control.info('cpu')
    const read = (name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)[1]) * 1e6
    return read('used_cpu_sys') + read('used_cpu_user')
  }
  const stop = () => {
    for (const made of clients) made.disconnect()
    server.kill('SIGKILL')
  }
  return { url: `redis://127.0.0.1:${port}`, client, control, cpu, stop }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/**
 * Runs contestants with so many under way at a time, each in every round, in an order that changes, and prints what each
 * did per second, and the CPU time here and in Redis of one: medians, and the medians of the ratios within a round.
 */
export async function race(server, title, base, contestants, { inFlight = 50, count = 10_000, rounds = 7 } = {}) {
  const names = Object.keys(contestants)
  const figures = new Map(names.map((name) => [name, []]))
  for (const name of names) await measure(server, contestants[name], count, inFlight)
  for (let round = 0; round < rounds; round++) {
    for (const name of rotate(names, round)) {
      figures.get(name).push(await measure(server, contestants[name], count, inFlight))
    }
  }
  console.log(`\n${title}`)
  const titles = ['per second', '× base', 'µs CPU here', '× base', 'in Redis', '× base']
  console.log(''.padEnd(38) + titles.map((each) => each.padStart(12)).join(''))
  for (const [name, list] of figures) {
    const cells = ['perSecond', 'cpu', 'redisCpu'].flatMap((what) => [
      median(list.map((figure) => figure[what])),
      median(list.map((figure, i) => figure[what] / figures.get(base)[i][what])).toFixed(2),
    ])
    const text = cells.map((cell, i) =>
      i === 0 ? Math.round(cell).toLocaleString('en') : i % 2 ? cell : cell.toFixed(1),
    )
    console.log(name.padEnd(38) + text.map((cell) => cell.padStart(12)).join(''))
  }
}

let turn = 0

async function measure(server, run, count, inFlight) {
  const redisCpu = await server.cpu()
  const cpu = process.cpuUsage()
  const start = performance.now()
  let left = count
  const lane = async () => {
    while (left-- > 0) {
      const result = run(turn++)
      if (typeof result?.then === 'function') await result
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const perSecond = (count / (performance.now() - start)) * 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond, cpu: (user + system) / count, redisCpu: ((await server.cpu()) - redisCpu) / count }
}
