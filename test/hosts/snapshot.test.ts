import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { memory } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-hosts-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0

describeHosts('warm start: memory({ snapshot })', (host) => {
  const open = (snapshot: string, body: string) =>
    host.boot({
      sluice: { backend: memory({ snapshot }) },
      routes: [
        {
          path: '/things/:id',
          cache: { ttl: '1h', tags: (r) => [`thing:${r.params.id}`] },
          handler: counted((c) => says({ fields: { Vary: 'X-Kind', 'X-Of': body }, body: Buffer.from(body) })(c)),
        },
      ],
    })
  const authority = { host: 'api.test' }

  test('what was stored before the close is there after the open: status, fields, body, variants, tags', async () => {
    const file = join(folder, `snapshot-${++files}`)
    const first = await open(file, 'first life')
    for (const kind of ['a', 'b']) await first.get('/things/7', { ...authority, 'x-kind': kind })
    await first.get('/things/8', authority)
    await first.close()

    const second = await open(file, 'second life')
    for (const kind of ['a', 'b']) {
      const hit = await second.get('/things/7', { ...authority, 'x-kind': kind })
      expect([hit.cache, hit.status, hit.text, hit.header('x-of')]).toEqual(['hit', 200, 'first life', 'first life'])
    }
    await second.sluice.purge({ tags: ['thing:7'] })
    expect((await second.get('/things/7', { ...authority, 'x-kind': 'a' })).text).toBe('second life')
    expect((await second.get('/things/8', authority)).text).toBe('first life')
  })

  test('what was purged before the close stays purged', async () => {
    const file = join(folder, `snapshot-${++files}`)
    const first = await open(file, 'first life')
    await first.get('/things/7', authority)
    await first.sluice.purge({ url: '/things/7' })
    await first.close()
    const second = await open(file, 'second life')
    expect((await second.get('/things/7', authority)).text).toBe('second life')
  })

  test('a file that is not one is reported and ignored, and the application starts', async () => {
    const file = join(folder, `snapshot-${++files}`)
    writeFileSync(file, 'no snapshot at all')
    const app = await open(file, 'only life')
    expect((await app.get('/things/7', authority)).text).toBe('only life')
    expect((await app.get('/things/7', authority)).cache).toBe('hit')
  })
})
