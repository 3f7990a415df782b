/**
 * Whether anything costs more among a million entries than among a thousand. `npm run bench -- scale [LARGEST]`.
 *
 * Each size is a process of its own (`scale-servers.mjs`), and all are there at the same time. Times are taken in rounds in
 * which every size has its turn, so that a machine that is slower for a while is so for all: a figure is the least of the
 * rounds, a ratio the median of the ratios within a round.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, rotate } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('scale-servers.mjs', import.meta.url))
const largest = Number(process.argv[2] ?? 1_000_000)
const sizes = [1_000, 10_000, 100_000, 1_000_000].filter((size) => size <= largest)
const rounds = 7

const children = sizes.map((size) => {
  const child = fork(script, [String(size)], {
    execArgv: ['--expose-gc', '--max-old-space-size=8192', '--max-semi-space-size=64'],
  })
  const ask = (what) =>
    new Promise((resolve, reject) => {
      child.removeAllListeners()
      child.once('message', resolve)
      child.once('exit', (code) => reject(new Error(`${size}: ended with ${code} at ${what}`)))
      child.send(what)
    })
  return { size, child, ask }
})

const width = 22
const print = (cells) =>
  console.log(cells.map((cell, i) => (i ? String(cell).padStart(width) : cell.padEnd(56))).join(''))

/** What is measured once, one size after the other. */
async function once(what) {
  const found = []
  for (const { ask } of children) found.push(await ask(what))
  for (const name of Object.keys(found.at(-1))) print([name, ...found.map((each) => each[name] ?? '–')])
}
/** What is measured in turns. Answers the times of each size. */
async function inTurns(what, title, count = rounds) {
  const figures = children.map(() => [])
  for (let round = 0; round < count; round++) {
    for (const i of rotate([...children.keys()], round)) figures[i].push((await children[i].ask(what)).ns)
  }
  const cell = (list) => {
    const ratio = median(list.map((ns, round) => ns / figures[0][round]))
    const least = Math.min(...list)
    return `${least < 10_000 ? `${least.toFixed(0)} ns` : `${(least / 1_000).toFixed(1)} µs`} × ${ratio.toFixed(2)}`
  }
  print([title, ...figures.map(cell)])
}

print(['entries', ...sizes.map((size) => size.toLocaleString('en'))])
await once('fill')
await inTurns('hit', 'a hit, without sockets')
await inTurns('get', 'its look-up in the store alone')
await inTurns('store', 'a store, with room')
await once('full')
await inTurns('evict', 'a store that evicts')
await once('flood')
for (const members of [1, 1_000, 100_000]) {
  if (members <= largest) await inTurns(`purge ${members}`, `a purge of a tag with ${members.toLocaleString('en')}`, 5)
}
await once('after purge')
await once('tags')
await once('variants')
for (const { child } of children) child.disconnect()
