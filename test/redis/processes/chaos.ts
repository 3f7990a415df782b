// npm run test:chaos -- [seconds] [seed]: the consistency test for as long as it is wanted.
import { runConsistency } from './consistency.ts'

const [seconds = 60, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const kinds = [
  { tier: false, cluster: false },
  { tier: true, cluster: false },
  { tier: false, cluster: true },
  { tier: true, cluster: true },
]
let violated = 0
for (const [i, kind] of kinds.entries()) {
  const name = `${kind.cluster ? 'Cluster of 3' : 'one node'}, ${kind.tier ? 'memory in front' : 'no memory in front'}`
  const run = { seed: seed + i, ms: (seconds * 1_000) / kinds.length, processes: 4, killProcesses: true, ...kind }
  const { violations, failures, faults, ...counts } = await runConsistency(run)
  console.log(`${name}, seed ${run.seed}: ${JSON.stringify(counts)}, ${faults.length} faults`)
  for (const line of [...violations, ...failures].slice(0, 20)) console.log(`  ${line}`)
  violated += violations.length + failures.length
}
console.log(violated === 0 ? 'No violation.' : `${violated} violations.`)
process.exit(violated === 0 ? 0 : 1)
