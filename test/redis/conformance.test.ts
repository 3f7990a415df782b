import { expect, test } from '@jest/globals'
import type { Backend } from '@sluice/core'
import { allCases } from '../conformance/cases.ts'
import { openCases } from '../conformance/open-cases.ts'
import { partsSuite } from '../conformance/parts.ts'
import { runCases } from '../conformance/runner.ts'
import { describeHosts } from '../hosts/harness/host.ts'
import { client } from './one-client.ts'
import { storeOn } from './support.ts'

/** Redis, by the clock of the tests. */
const backend = (): Backend => ({ kind: 'redis', cacheStore: ({ clock }) => storeOn(client, { clock, time: 'clock' }) })

/** That nothing was purged while a POST was answered can be told only in one process. */
const openOnRedis = [...Object.keys(openCases), 'method-POST']

describeHosts(
  'conformance on Redis',
  (host) => {
    test('every case passes that does in memory, but one', async () => {
      const verdicts = await runCases(host, allCases, backend)
      const failures = allCases.flatMap(({ id }) => (verdicts.get(id) === undefined ? [] : [[id, verdicts.get(id)]]))
      expect(failures.filter(([id]) => !openOnRedis.includes(id!))).toEqual([])
      expect(failures).toHaveLength(openOnRedis.length)
    }, 120_000)
  },
  ({ name }) => ['node:http', 'Fastify 5'].includes(name),
)

describeHosts('parts on Redis (RFC 9111 §3.3, §3.4)', partsSuite(backend), ({ name }) => name === 'node:http')
