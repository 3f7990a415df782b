/**
 * What a hit costs: 10 kB from Sluice's memory against the bare framework sending the same bytes from the same place,
 * and against the peers. `npm run bench -- hit`; arguments behind it choose servers.
 */
import { fileURLToPath } from 'node:url'
import { compare, report } from './lib/compare.mjs'

const script = fileURLToPath(new URL('./hit-servers.mjs', import.meta.url))
const groups = [
  ['node', 'node + sluice'],
  ['express', 'express + sluice', 'express + apicache'],
  ['koa', 'koa + sluice', 'koa + koa-cash', 'koa + koa-cash, same fields'],
  ['fastify', 'fastify + sluice'],
]
/** What a peer's hit lacks of what ours sends: it is measured as it is, and where it matters with these added. */
const remarks = {
  express: 'apicache sends neither Age nor Cache-Status, and looks at nothing of a request but its URL and its ETag.',
  koa:
    'koa-cash sends no Cache-Control, ETag, Age or Cache-Status and looks at nothing of a request but its URL: not at ' +
    'the host, not at credentials, not at ranges. "same fields" has the application set those fields on each hit.',
}
const wanted = process.argv.slice(2)

console.log('A 10 kB hit. Ratios are medians over rounds; base is plain node:http sending the same bytes.')
for (const names of groups.filter(([base]) => wanted.length === 0 || wanted.includes(base))) {
  const all = names.includes('node') ? names : ['node', ...names]
  const figures = await compare({ script, names: all })
  report(names[0], figures, 'node')
  if (remarks[names[0]]) console.log(remarks[names[0]])
  const bare = figures.get(names[0])
  const ours = figures.get(`${names[0]} + sluice`)
  const ratios = ours.cpu.map((value, i) => value / bare.cpu[i]).sort((a, b) => a - b)
  console.log(
    `CPU per hit against the bare ${names[0]}: × ${ratios[ratios.length >> 1].toFixed(3)} (goal: at most 1.15)`,
  )
}
