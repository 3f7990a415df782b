/**
 * What an entry of the memory store takes beside its body, head and key, and what the store says it takes.
 * Run with `--expose-gc`, on Node 24 as it is. The constants in `record-size.ts` come from here: what is counted must not
 * be less than what is held. The goal is at most 600 bytes beside body, head and key.
 */
import { MemoryCacheStore } from '../../packages/core/src/cache/memory-store.ts'
import { systemClock } from '../../packages/core/src/clock.ts'
import { makeRecord, plain, target, variantFor } from '../cache-store/fixtures.ts'

declare const gc: () => void

const entries = 100_000
const clock = systemClock()

function held(): number {
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A text as it comes from a socket: characters of its own. */
const fresh = (text: string): string => Buffer.from(text).toString('latin1')

for (const bodyBytes of [10, 100, 1_000]) {
  for (const varies of [false, true]) {
    const store = new MemoryCacheStore({ clock, maxBytes: 2 ** 32 })
    const before = held()
    let payload = 0
    for (let i = 0; i < entries; i++) {
      const path = fresh(`/cities/${i}`)
      const key = fresh(`GET;api.example.com;${path}`)
      const fields = ['Content-Type', fresh('application/json; charset=utf-8'), 'X-Page', fresh(`page ${i}`)]
      const etag = fresh(`"${String(i).padStart(24, 'e')}"`)
      const record = makeRecord(clock, '', {
        fields,
        forms: [{ coding: 'identity', body: Buffer.alloc(bodyBytes), etag }],
        tags: [fresh(`city:${i}`)],
        target: { ...target, path, authority: fresh('api.example.com') },
      })
      store.set(key, varies ? variantFor(['x'], { x: String(i % 7) }) : plain, record, store.position(key))
      payload += bodyBytes + key.length + path.length + etag.length + fields.join('').length
    }
    const real = held() - before
    const { bytes } = store.usage()
    const per = (n: number) => Math.round(n / entries)
    console.log(
      `body ${bodyBytes}${varies ? ', one variant' : ''}: ${per(real)} B per entry, ${per(real - payload)} beside body, head and key; counted ${per(bytes)}`,
    )
    if (store.usage().entries !== entries) throw new Error('not all are held')
    store.close()
  }
}
