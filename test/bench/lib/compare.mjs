import { fork } from 'node:child_process'
import { load } from './load.mjs'
import { pin } from './pin.mjs'
import { median, rotate } from './rounds.mjs'

/**
 * Measures servers against each other: each in a process of its own on one core, the load on the other, in rounds in
 * which every server has its turn, in an order that changes. Figures are ratios within a round, so that a machine whose
 * speed drifts does not decide.
 *
 * @param {{ script: string, names: string[], path?: string, headers?: Record<string, string>, learn?: boolean,
 *   rounds?: number, count?: number, warmUp?: number, programs?: string[],
 *   requests?: { path?: string | (() => string), headers?: Record<string, string> }[] }} options - `programs`: what the script
 *   is started with, where that is not the name; `requests`: what each is asked, where they are not all asked the same
 * @returns {Promise<Map<string, { rps: number[], cpu: number[], user: number[] }>>} per server and round: requests per
 *   second, microseconds of the server's CPU per request, and what of them was not the kernel's
 */
export async function compare({
  script,
  names,
  programs = names,
  path = '/',
  headers,
  requests = names.map(() => ({ path, headers })),
  learn,
  rounds = 7,
  count = 15_000,
  warmUp = 15_000,
}) {
  const servers = new Map()
  const figures = new Map(names.map((name) => [name, { rps: [], cpu: [], user: [] }]))
  try {
    for (const [i, name] of names.entries())
      servers.set(name, { ...(await start(script, programs[i])), ...requests[i] })
    pin(process.pid, 1)
    // What a front door knows it has from whole answers.
    if (learn) for (const { port, path } of servers.values()) await load({ port, path, count: 200 })
    for (const { port, path, headers } of servers.values()) await load({ port, path, headers, count: warmUp })
    for (let round = 0; round < rounds; round++) {
      for (const name of rotate(names, round)) {
        const server = servers.get(name)
        const before = await server.ask('cpu')
        const { seconds } = await load({ port: server.port, path: server.path, headers: server.headers, count })
        const after = await server.ask('cpu')
        figures.get(name).rps.push(count / seconds)
        figures.get(name).cpu.push((after.cpu - before.cpu) / count)
        figures.get(name).user.push((after.user - before.user) / count)
      }
    }
  } finally {
    for (const server of servers.values()) server.child.kill()
  }
  return figures
}

/** Prints medians and, against the baseline of the same round, the median ratio. */
export function report(title, figures, baseline) {
  const base = figures.get(baseline)
  console.log(`\n${title}`)
  console.log(
    `${'server'.padEnd(28)} ${'req/s'.padStart(8)} ${'× base'.padStart(7)} ${'µs CPU/req'.padStart(11)} ${'× base'.padStart(7)}`,
  )
  for (const [name, { rps, cpu }] of figures) {
    const ratio = (list, of) => median(list.map((value, i) => value / of[i])).toFixed(2)
    const cells = [
      name.padEnd(28),
      median(rps).toFixed(0).padStart(8),
      ratio(rps, base.rps).padStart(7),
      median(cpu).toFixed(1).padStart(11),
      ratio(cpu, base.cpu).padStart(7),
    ]
    console.log(cells.join(' '))
  }
}

function start(script, name) {
  return new Promise((resolve, reject) => {
    const child = fork(script, [name], { env: { ...process.env, NODE_ENV: 'production' } })
    const answers = []
    child.once('error', reject)
    child.once('exit', (code) => code && reject(new Error(`server ${name} ended with ${code}`)))
    child.on('message', (message) => {
      if (message.port) {
        pin(child.pid, 0)
        const ask = (what) =>
          new Promise((answer) => {
            answers.push(answer)
            child.send(what)
          })
        resolve({ child, port: message.port, ask })
      } else answers.shift()?.(message)
    })
  })
}

/** In the server's process: listens on a free port, and answers what its CPU time is, in microseconds. */
export function serve(server) {
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('message', (what) => {
    if (what === 'cpu') {
      const { user, system } = process.cpuUsage()
      process.send({ cpu: user + system, user })
    }
  })
  process.on('disconnect', () => process.exit())
}
