/**
 * What a hit at the front door costs: 10 kB from Sluice's memory before the framework has seen the request, against plain
 * node:http doing `writeHead` and `end` with the same bytes. `npm run bench -- front`; arguments behind it choose frameworks.
 */
import { fileURLToPath } from 'node:url'
import { compare, report } from './lib/compare.mjs'
import { median } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('./front-servers.mjs', import.meta.url))
const base = 'node:http'
const frameworks = ['node', 'express', 'koa', 'fastify']
const wanted = process.argv.slice(2)
const kinds = [
  ['GET', {}],
  ['304', { 'if-none-match': '*' }],
  ['gzip', { 'accept-encoding': 'gzip' }],
]

for (const [kind, headers] of kinds) {
  const chosen = frameworks.filter((name) => wanted.length === 0 || wanted.includes(name))
  const names = [base, ...chosen.flatMap((name) => [`${name} + front`, `${name} + front, writeHead`])]
  const figures = await compare({ script, names, headers, learn: true, rounds: 7, count: 10_000, warmUp: 10_000 })
  report(`${kind}, base is plain node:http sending the whole 10 kB`, figures, base)
  for (const name of chosen) {
    const of = (server) => figures.get(server).cpu
    const ratio = median(of(`${name} + front`).map((value, i) => value / of(base)[i]))
    console.log(`CPU of a ${kind} at the door of ${name}: × ${ratio.toFixed(3)} (goal for GET: at most 0.8)`)
  }
}
