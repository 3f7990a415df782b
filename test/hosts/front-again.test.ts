import { afterAll, expect } from '@jest/globals'
import { answeredInstead, sendThroughDoor } from './harness/through-door.ts'

/**
 * What is promised of cached answers, promised of those at the door: these suites once more, where what hits is asked for again
 * until the door has answered, and its answer is what the test goes on with. `SLUICE_TEST_FRONT=1 npm run jest -- test/hosts` does the
 * same with all of them.
 */
sendThroughDoor()

await import('./vary.test.ts')
await import('./invalidation.test.ts')
await import('./fencing.test.ts')
await import('./stale.test.ts')

afterAll(() => {
  expect(answeredInstead()).toBeGreaterThan(150)
})
