import { expect, test } from '@jest/globals'
import { outside } from '../support/outside-redis.ts'
import { Trace } from './limits/trace.ts'
import { client } from './one-client.ts'

/** `npm run test:limits-diff` sets a million. */
const steps = Number(process.env.SLUICE_DIFF_STEPS ?? 12_000)
const seed = Number(process.env.SLUICE_DIFF_SEED ?? 1)

const perTrace = 200
const atOnce = 64

test(`memory and Redis decide alike, to the last number, in ${steps.toLocaleString('en')} random steps over all algorithms`, async () => {
  const traces = Math.ceil(steps / perTrace)
  let next = 0
  const run = async (): Promise<void> => {
    while (next < traces) {
      const at = next++
      await new Trace(client, seed + at).run(perTrace)
      // In the long run the keys of so many traces would only make the server slow to start the next.
      if (at % 500 === 499 && !outside) await client.script('FLUSH')
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, traces) }, run))
  expect(next).toBe(traces)
  const keys = await client.keys('*')
  expect(keys.length).toBeGreaterThan(0)
  for (const key of keys.slice(0, 500)) expect(await client.pttl(key)).toBeGreaterThan(0)
}, 900_000)
