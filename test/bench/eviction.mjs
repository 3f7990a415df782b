/**
 * Who should leave when memory is full: hit ratios on generated traces, and what a request costs the policy.
 * `npm run bench -- eviction [OBJECTS [REQUESTS]]`. Seeded: hit ratios are the same on every machine, and for `sluice`, whose
 * sketch is seeded anew in each process, within a tenth of a percent.
 *
 * First with objects of one size, then with objects that differ in size and in what it takes to make them, where the
 * share of the time saved counts too.
 */
import { costly, uniform } from './lib/candidates.mjs'
import { median, rotate } from './lib/rounds.mjs'
import { makeTraces, random } from './lib/traces.mjs'

const objects = Number(process.argv[2] ?? 20_000)
const length = Number(process.argv[3] ?? 500_000)
const shares = [0.01, 0.1, 0.5]
const traces = makeTraces({ objects, length, seed: 7 })

function play({ requests, counted }, access) {
  let hits = 0
  let asked = 0
  for (const object of requests) {
    const hit = access(object)
    if (counted && !counted(object)) continue
    asked++
    if (hit) hits++
  }
  return (100 * hits) / asked
}

const line = (cells) => cells.map((cell, i) => (i ? String(cell).padStart(12) : cell.padEnd(18))).join('')

console.log(`\nHit ratio in percent: ${objects} objects of one size, ${length} requests`)
console.log(line(['trace, share', ...Object.keys(uniform)]))
const sums = Object.keys(uniform).map(() => 0)
const worst = Object.keys(uniform).map(() => 0)
for (const [name, trace] of Object.entries(traces)) {
  for (const share of shares) {
    const row = Object.values(uniform).map((make) => play(trace, make(Math.floor(objects * share))))
    for (const [i, ratio] of row.entries()) {
      sums[i] += ratio / (shares.length * Object.keys(traces).length)
      worst[i] = Math.max(worst[i], Math.max(...row) - ratio)
    }
    console.log(line([`${name}, ${share * 100} %`, ...row.map((ratio) => ratio.toFixed(1))]))
  }
}
console.log(line(['mean', ...sums.map((sum) => sum.toFixed(1))]))
console.log(line(['most behind best', ...worst.map((points) => points.toFixed(1))]))

console.log(
  '\nCPU of a request in ns, Zipf 1.0, 10 %, keys are numbers: least of 9 rounds, ratio to LRU within a round',
)
const figures = new Map(Object.keys(uniform).map((name) => [name, []]))
const { requests } = traces['Zipf 1.0']
for (let round = 0; round < 9; round++) {
  for (const name of rotate(Object.keys(uniform), round)) {
    const access = uniform[name](Math.floor(objects * 0.1))
    const before = process.cpuUsage()
    for (const object of requests) access(object)
    const { user } = process.cpuUsage(before)
    figures.get(name).push((user * 1_000) / requests.length)
  }
}
console.log(line(['', ...Object.keys(uniform)]))
console.log(line(['ns', ...[...figures.values()].map((list) => Math.min(...list).toFixed(0))]))
const base = figures.get('lru')
console.log(
  line(['× lru', ...[...figures.values()].map((list) => median(list.map((ns, i) => ns / base[i])).toFixed(2))]),
)

// Sizes from 500 B to 500 kB and fills from 0.2 ms to 2 s, log-normal, and neither says anything of the other or of how
// often an object is asked for.
const draw = random(11)
const gauss = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
const clamp = (value, low, high) => Math.min(high, Math.max(low, value))
const many = objects + length
const sizes = Float64Array.from({ length: many }, () =>
  Math.round(clamp(8_000 * Math.exp(1.3 * gauss()), 500, 500_000)),
)
const costs = Float64Array.from({ length: many }, () => clamp(20 * Math.exp(1.5 * gauss()), 0.2, 2_000))
let total = 0
for (let i = 0; i < objects; i++) total += sizes[i]

console.log(
  '\nAdmission by cost: percent of requests that hit / of the time of fills that is saved / of bytes that hit',
)
console.log(line(['trace, share', ...Object.keys(costly).map((name) => name.padStart(20))]))
for (const [name, { requests, counted }] of Object.entries(traces)) {
  for (const share of [0.01, 0.1]) {
    const row = Object.values(costly).map((make) => {
      const access = make(Math.floor(total * share), Math.floor(objects * share))
      const sum = { hits: 0, asked: 0, saved: 0, cost: 0, bytes: 0, hitBytes: 0 }
      for (const object of requests) {
        const hit = access(object, sizes[object], costs[object])
        if (counted && !counted(object)) continue
        sum.asked++
        sum.cost += costs[object]
        sum.bytes += sizes[object]
        if (!hit) continue
        sum.hits++
        sum.saved += costs[object]
        sum.hitBytes += sizes[object]
      }
      const percent = (part, whole) => ((100 * part) / whole).toFixed(1)
      return `${percent(sum.hits, sum.asked)} / ${percent(sum.saved, sum.cost)} / ${percent(sum.hitBytes, sum.bytes)}`
    })
    console.log(line([`${name}, ${share * 100} %`, ...row.map((cell) => cell.padStart(20))]))
  }
}
