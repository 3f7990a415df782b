import { afterEach, describe, expect, test } from '@jest/globals'
import type { PolicyOptions } from '@sluice/core'
import type { Opening } from '../../packages/core/src/exchange/exchange.ts'
import { createLimiter, type Limiter } from '../../packages/core/src/limit/limiter.ts'
import { exchangeOf, fieldsOf, ManualClock, request, statusOf } from '../limit/helpers.ts'
import { limitsOn } from './limits/support.ts'
import { client, server } from './one-client.ts'
import { freshName } from './support.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const key = { key: '192.0.2.1' }

/** Until Redis has answered all there was to ask, and what came of it was asked too. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 15; i++) {
    await client.ping()
    await turn()
  }
}

const opened: Limiter[] = []
afterEach(async () => {
  for (const limiter of opened.splice(0)) await limiter.close()
})

/** Several processes that share a clock and a limit. */
function processes(count: number, policy: PolicyOptions) {
  const clock = new ManualClock()
  const namespace = freshName()
  const limiters = Array.from({ length: count }, () => {
    const store = limitsOn(client, { namespace, clock, time: 'clock' })
    return createLimiter({ limits: { p: policy }, clock, store })
  })
  opened.push(...limiters)
  const pipelines = limiters.map((limiter) => limiter.pipeline('p'))
  /** Names of requests in the order in which they ended, with their status and when. */
  const ended: { name: string; status: number; at: number }[] = []
  const began = clock.now()
  return {
    clock,
    limiters,
    ended,
    admitted: () => ended.filter(({ status }) => status === 200).map(({ name }) => name),
    async advance(ms: number, step = 50) {
      for (let at = 0; at < ms; at += step) {
        clock.advance(Math.min(step, ms - at))
        await quiet()
      }
    },
    ask(process: number, name: string) {
      let listener = (): void => {}
      const onGone = (given: () => void) => {
        listener = given
        return () => {}
      }
      const opening = Promise.resolve(pipelines[process]!.open({ ...request(), onGone }))
      void opening.then((one: Opening) => ended.push({ name, status: statusOf(one), at: clock.now() - began }))
      return { opening, leave: () => listener() }
    },
  }
}

const slow = (rate: string, slowDown: PolicyOptions['slowDown'] = { max: '4s', perKey: 50 }): PolicyOptions => ({
  ...{ rate, slowDown, algorithm: 'sliding-log' },
})

describe('waiting for a limit that is shared', () => {
  test('two processes: never more than the limit, in order in each, and few commands', async () => {
    const { ask, advance, admitted, ended, limiters } = processes(2, slow('4/s'))
    await quiet()
    await server.resetStats()
    for (let i = 0; i < 8; i++) for (const process of [0, 1]) ask(process, `${process}${i}`)
    await quiet()
    expect(admitted()).toHaveLength(4)
    expect(limiters.map((limiter) => limiter.stats().waiting).reduce((a, b) => a + b)).toBe(12)
    await advance(3_500, 250)
    expect(admitted()).toHaveLength(16)
    for (const { at } of ended) {
      expect(ended.filter((other) => other.at >= at && other.at < at + 1_000).length).toBeLessThanOrEqual(4)
    }
    for (const process of ['0', '1']) {
      const order = admitted().filter((name) => name.startsWith(process))
      expect(order).toEqual([...order].sort())
    }
    // One to find that there is nothing, one for the length of the line, one when its turn has come, and again where the
    // other process was sooner.
    const { evalsha = 0 } = await server.calls()
    expect(evalsha).toBeLessThanOrEqual(3 * 16 + 2 * 4)
  })

  test('between two refusals nothing is asked', async () => {
    const { ask, advance, admitted } = processes(1, slow('1/s'))
    ask(0, 'a')
    ask(0, 'b')
    ask(0, 'c')
    await quiet()
    await server.resetStats()
    await advance(950)
    expect((await server.calls()).evalsha ?? 0).toBe(0)
    await advance(50)
    expect(admitted()).toEqual(['a', 'b'])
  })

  test('who finds no place is told without a question for each', async () => {
    const { ask, ended } = processes(1, slow('1/s', { max: '9s', queue: 2, perKey: 2 }))
    for (const name of ['a', 'b', 'c']) ask(0, name)
    await quiet()
    await server.resetStats()
    for (let i = 0; i < 50; i++) {
      const refused = await ask(0, 'x').opening
      expect([statusOf(refused), fieldsOf(refused).get('retry-after')]).toEqual([429, '3'])
    }
    expect((await server.calls()).evalsha).toBe(1)
    expect(ended.filter(({ name }) => name !== 'x')).toHaveLength(1)
  })

  test('who leaves while Redis is asked for it is given back what it was charged', async () => {
    const { ask, clock, ended, limiters } = processes(1, slow('1/s'))
    ask(0, 'a')
    const b = ask(0, 'b')
    await quiet()
    clock.advance(1_000)
    // The question is on its way.
    b.leave()
    await quiet()
    expect(ended.map(({ name, status }) => [name, status])).toEqual([
      ['a', 200],
      ['b', 429],
    ])
    expect(limiters[0]!.stats()).toMatchObject({ waiting: 0, left: 1, allowed: 1 })
    expect(await limiters[0]!.peek('p', key)).toMatchObject({ remaining: 1 })
  })

  test('a permit that comes back in this process is taken at once, one of another within the time that was told', async () => {
    const policy: PolicyOptions = { rate: '1 concurrent', slowDown: { max: '5s' } }
    const { ask, advance, admitted, limiters } = processes(2, policy)
    const end = async (asked: { opening: Promise<Opening> }) => {
      exchangeOf(await asked.opening).onClose('sent')
      await quiet()
    }
    const a = ask(0, 'a')
    await quiet()
    const b = ask(0, 'b')
    await quiet()
    await end(a)
    expect(admitted()).toEqual(['a', 'b'])
    const c = ask(1, 'c')
    await quiet()
    await end(b)
    expect(admitted()).toEqual(['a', 'b'])
    await advance(1_000)
    expect(admitted()).toEqual(['a', 'b', 'c'])
    await end(c)
    expect(limiters.map((limiter) => limiter.stats())).toMatchObject([
      { permits: 0, waiting: 0 },
      { permits: 0, waiting: 0 },
    ])
    expect(await limiters[0]!.peek('p', key)).toMatchObject({ remaining: 1 })
  })

  test('close lets nobody wait, and leaves nothing charged', async () => {
    const { ask, ended, limiters } = processes(2, slow('1/s'))
    ask(0, 'a')
    await quiet()
    for (const name of ['b', 'c']) ask(0, name)
    await quiet()
    const closed = limiters[0]!.close()
    await quiet()
    await closed
    expect(ended.map(({ name, status }) => [name, status])).toEqual([
      ['a', 200],
      ['b', 429],
      ['c', 429],
    ])
    expect(await limiters[1]!.peek('p', key)).toMatchObject({ remaining: 0, retryAfterMs: 1_000 })
  })
})
