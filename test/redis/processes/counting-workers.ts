// Two workers of a cluster that count in memory.
import cluster from 'node:cluster'
import { createSluice } from '@sluice/node'

if (cluster.isPrimary) {
  let left = 2
  for (let i = 0; i < 2; i++) cluster.fork().on('exit', () => --left === 0 && process.exit(0))
} else {
  const sluice = createSluice({ limits: { few: '5/min' } })
  sluice.limit('few')
  sluice.limit('7/min')
  setTimeout(() => process.exit(0), 100)
}
