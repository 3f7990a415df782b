/**
 * A million keys nobody has seen before, against a limiter that holds a hundred thousand: how long decisions take (none may
 * wait for the others) and what the keys hold. Needs the build. `npm run bench -- limit-flood`
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createLimiter } from '../../packages/core/dist/esm/limit/limiter.js'

if (!globalThis.gc) {
  const { status } = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url)], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

const total = 1_000_000
const limiter = createLimiter({ limits: { ip: '300/min' } })
const keyOf = (i) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`
for (let i = 0; i < 20_000; i++) limiter.check('ip', { key: 'warm-up' })

// A client that is blocked, and one that is not, ask on while the flood comes.
for (let i = 0; i < 300; i++) limiter.check('ip', { key: '192.0.2.1' })
gc()
const before = process.memoryUsage().heapUsed
const took = new Float64Array(total)
let freed = 0
for (let i = 0; i < total; i++) {
  const key = keyOf(i)
  const start = performance.now()
  limiter.check('ip', { key })
  took[i] = performance.now() - start
  if (i % 1_000 === 0 && limiter.check('ip', { key: '192.0.2.1' }).allowed) freed++
}
gc()
const held = process.memoryUsage().heapUsed - before - took.byteLength

const quantile = (list, q) =>
  Math.round(list[Math.floor(list.length * q)] * 1e6)
    .toLocaleString('en')
    .padStart(12)
console.log(
  `${'ns per decision'.padEnd(28)}${'p50'.padStart(12)}${'p99'.padStart(12)}${'p99.9'.padStart(12)}${'max'.padStart(12)}`,
)
for (const [name, from, to] of [
  ['the first 50,000 keys', 0, 50_000],
  ['up to 100,000: it fills up', 50_000, 100_000],
  ['then 900,000 more: it is full', 100_000, total],
]) {
  const part = took.slice(from, to).sort()
  const line = [0.5, 0.99, 0.999, 1 - 1 / part.length].map((q) => quantile(part, q)).join('')
  console.log(name.padEnd(28) + line)
}
const { store } = limiter.stats()
console.log(`\n${store.entries.toLocaleString('en')} keys held, ${Math.round(held / store.entries)} bytes each`)
console.log(`a blocked client was let in ${freed} times while its window lasted`)
