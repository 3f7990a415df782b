// One process of an application with limits in Redis, told what to do by its parent.
import { createSluice } from '@sluice/node'
import { redis } from '../library.ts'

interface Task {
  readonly id: number
  readonly do: 'check' | 'close'
  readonly policy: string
  readonly key: string
  /** How many checks in all, and at the same time. */
  readonly count: number
  readonly inFlight: number
}

const { REDIS = '', NAMESPACE = '', LIMITS = '{}' } = process.env
const sluice = createSluice({
  backend: redis(REDIS, { namespace: NAMESPACE, deadlines: { limit: '10s' } }),
  limits: JSON.parse(LIMITS),
})

async function check({ policy, key, count, inFlight }: Task) {
  let [started, allowed, elsewhere, banned, begun] = [0, 0, 0, 0, 0]
  const run = async (): Promise<void> => {
    while (started++ < count) {
      const verdict = await sluice.check(policy, { key })
      if (verdict.allowed) allowed++
      if (verdict.via !== 'store') elsewhere++
      if (verdict.banned) banned++
      if (verdict.banned?.begins) begun++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, run))
  return { allowed, elsewhere, banned, begun }
}

process.on('message', async (task: Task) => {
  const answer = task.do === 'check' ? await check(task) : await sluice.close()
  process.send!({ id: task.id, answer })
})
process.on('disconnect', () => process.exit())
process.send!({ id: -1 })
