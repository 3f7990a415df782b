import { runChaos } from './run.ts'

const t0 = Date.now()
const [kind = 'no persistence', ms = '3000', seed = '7', sab = ''] = process.argv.slice(2)
const r = await runChaos({
  seed: Number(seed),
  ms: Number(ms),
  kind: kind as any,
  tier: true,
  sabotage: sab,
  log: (l) => console.log(Date.now() - t0, l),
})
console.log(
  Date.now() - t0,
  JSON.stringify({ ...r, violations: r.violations.slice(0, 30), n: r.violations.length }, null, 1),
)
process.exit()
