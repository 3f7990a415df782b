// npm run test:chaos -- [seconds] [seed]: the cache and the limits under chaos, for as long as it is wanted. One runner for both:
// the same processes, the same Redis and the same faults; only who judges the history differs.
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChaosReport, runChaos } from './run.ts'

const [seconds = 60, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
/** Takes as long as that beside the faults: to start, and to see that all is as before. Seconds. */
const aroundSeconds = 5
const kinds = [
  { kind: 'no persistence', tier: true },
  { kind: 'append-only file', tier: false },
  { kind: 'Cluster', tier: true },
] as const
const columns = [
  'requests',
  'admitted',
  'refused',
  'unavailable',
  'without',
  'left',
  'cacheHits',
  'writes',
  'uncertain',
]
const rows: (string | number)[][] = [['', ...columns, 'faults', 'violations']]
let violated = 0
for (const [i, kind] of kinds.entries()) {
  const ms = Math.max(3_000, (seconds / kinds.length - aroundSeconds) * 1_000)
  const report = await runChaos({ seed: seed + i, ms, long: true, ...kind })
  const { violations, faults, history } = report
  console.log(`${kind.kind}, ${kind.tier ? '' : 'no '}memory in front, seed ${seed + i}: ${faults.join(', ')}`)
  for (const line of violations.slice(0, 20)) console.log(`  ${line}`)
  if (violations.length > 0) {
    const file = join(tmpdir(), `sluice-chaos-${seed + i}.json`)
    writeFileSync(file, JSON.stringify(history))
    console.log(`  The history of its limits: ${file}`)
  }
  violated += violations.length
  const numbers = columns.map((name) => report[name as keyof ChaosReport] as number)
  rows.push([kind.kind, ...numbers, faults.length, violations.length])
}
const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)))
for (const row of rows) console.log(row.map((cell, i) => String(cell).padStart(widths[i]!)).join('  '))
console.log(`Seed ${seed}: ${violated} violations.`)
process.exit(violated === 0 ? 0 : 1)
