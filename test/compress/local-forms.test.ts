import { expect, test } from '@jest/globals'
import { type Backend, type CacheStore, memory } from '@sluice/core'
import { decoded, json, onHosts, text } from './hosts.ts'

/** A store that takes no forms and gives out a new object each time, as one does that reads it from a connection. */
function withoutForms(): Backend {
  const inner = memory()
  return {
    ...inner,
    cacheStore(env) {
      const store = inner.cacheStore(env)
      const own: CacheStore = {
        get: async (key, select) => {
          const found = await store.get(key, select)
          if (found?.kind !== 'record') return found
          return { ...found, forms: found.forms.map((form) => ({ ...form, body: Buffer.from(form.body) })) }
        },
        position: (key) => store.position(key),
        set: (key, variant, record, vacancy) => store.set(key, variant, record, vacancy),
        delete: (key) => store.delete(key),
        invalidate: (tags, mode) => store.invalidate(tags, mode),
        usage: () => store.usage(),
        close: () => store.close(),
      }
      return own
    },
  }
}

onHosts('a store that takes no forms', (boot) => {
  test('has them made once per process, and never those of another version', async () => {
    let version = 1
    const { get, sluice } = await boot({
      sluice: { backend: withoutForms() },
      compress: { best: { hits: 3 } },
      cache: { ttl: '5m', tags: ['all'] },
      say: () => ({ headers: json, body: `${version}${text}` }),
    })
    await get({ 'accept-encoding': 'br' })
    for (const coding of ['br', 'gzip', 'identity', 'gzip']) {
      const answer = await get({ 'accept-encoding': coding })
      expect(answer.cache).toBe('hit')
      expect(answer.header('content-encoding')).toBe(coding === 'identity' ? undefined : coding)
      expect(decoded(answer)).toBe(`1${text}`)
    }
    let hot = await get({ 'accept-encoding': 'br' })
    for (let i = 0; i < 500 && !hot.header('etag')!.includes('-best'); i++) hot = await get({ 'accept-encoding': 'br' })
    expect(hot.header('etag')).toMatch(/;br-best"$/)
    version = 2
    await sluice.purge({ tags: ['all'] })
    for (const coding of ['gzip', 'br', 'gzip', 'br']) {
      expect(decoded(await get({ 'accept-encoding': coding }))).toBe(`2${text}`)
    }
  })
})
