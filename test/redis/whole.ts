import { operatorAccess } from '@sluice/core'
import { createSluice, type NodeSluice } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { redis } from './library.ts'

/** One process of an application, with everything that it may keep in Redis. */
export async function application(target: Parameters<typeof redis>[0], options: RedisOptions = {}) {
  const sluice = createSluice({
    backend: redis(target, { deadlines: { read: '2s', write: '2s', limit: '2s' }, ...options }),
    limits: { few: '2/min', leased: { rate: '100/min', lease: 10 }, permits: '1 concurrent' },
  })
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(error.message))
  sluice.on('store-error', ({ error }) => errors.push(String(error)))
  await sluice.ready()
  let loads = 0
  const memo = sluice.memo(async (id: number) => `${++loads} of ${id}`, { name: 'm', ttl: '1m', tags: () => ['t'] })
  return { sluice, memo, errors, loads: () => loads }
}

/** Uses all there is. */
export async function useAll(sluice: NodeSluice, memo: (id: number) => Promise<string>): Promise<void> {
  await memo(1)
  await memo(2)
  await sluice.check('few', { key: 'k', cost: 2 })
  await sluice.check('few', { key: 'k' })
  await sluice.check('leased', { key: 'k' })
  await sluice.refund('few', { key: 'k' })
  await sluice.reset('few', { key: 'k' })
  await (await sluice.check('permits', { key: 'k' })).release?.()
  await sluice.expire({ tags: ['t'] })
  await sluice.purge({ tags: ['t'] }, { replicas: 1 })
  await sluice.purge({ all: true })
  const { board } = operatorAccess(sluice)!
  await board!.post('p', 'note', 10_000)
  await board!.read()
  await board!.remove('p')
}
