import { showTerm } from '../exchange/reads/term.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { splitTarget } from '../http/locate.ts'
import type { CacheCore } from './cache-core.ts'
import { cacheKey } from './policy/key.ts'
import type { CachePolicy } from './policy/options.ts'
import { namedTerms } from './policy/variant.ts'

/** Where an operator's question about a URL comes from: what of a request a URL does not say. */
export interface FindBase {
  readonly scheme: string
  readonly authority: string
  readonly localPort: number | undefined
}

/** Something that is stored under a URL. */
export interface StoredAnswer {
  readonly key: string
  /** What it is told apart by from other answers of its key: names, and no values, which may be somebody's. */
  readonly terms: readonly string[]
  readonly status: number
  /** Milliseconds since 1970. */
  readonly storedAt: number
  /** Negative: stale for so long. Milliseconds. */
  readonly freshForMs: number
  /** Until nobody wants it, not even in place of an error. Milliseconds. */
  readonly usableForMs: number
  /** Of all its forms together. */
  readonly bytes: number
  /** `identity`, and what it is compressed in. */
  readonly codings: readonly string[]
  readonly etag: string | undefined
  readonly tags: readonly string[]
  /** Not only for who caused it to be stored. */
  readonly shared: boolean
}

export interface FoundAnswers {
  readonly answers: readonly StoredAnswer[]
  /** Why there may be more than are shown. */
  readonly note?: string | undefined
}

const most = 50

/**
 * What is stored under a URL, whoever it is for. Stores in memory are looked through; others are asked for the key that a plain GET of
 * the URL would have.
 *
 * @param url - in origin or absolute form
 */
export async function findStored(core: CacheCore, url: string, base: FindBase): Promise<FoundAnswers> {
  const { store, clock } = core
  const target = splitTarget(url.split('#', 1)[0]!)
  if (!store.inventory) return { answers: [], note: 'This store cannot be looked into.' }
  const view = plainGet(target, base)
  const policy = core.outcomes.of(view)?.policy
  const key = policy && (await keyOf(core, view, policy))
  const items = await store.inventory({ path: target.path, query: target.query, key, most })
  const now = clock.now()
  const answers = items.map(({ key, spec, record }): StoredAnswer => {
    const { forms, staleAt, deleteAt, status, tags } = record
    return {
      key,
      terms: spec ? namedTerms(spec).map(showTerm) : [],
      status,
      storedAt: Math.round(clock.wall() - (now - record.storedAt)),
      freshForMs: Math.round(staleAt - now),
      usableForMs: Math.round(deleteAt - now),
      bytes: forms.reduce((sum, { body }) => sum + body.byteLength, 0),
      codings: forms.map(({ coding }) => coding),
      etag: forms[0]?.etag,
      tags,
      shared: record.witness === undefined && record.shared,
    }
  })
  return { answers, note: noteOn(answers.length, key, store.looksThrough === true) }
}

function noteOn(found: number, key: string | undefined, looksThrough: boolean): string | undefined {
  if (found >= most) return `Only the first ${most} are shown.`
  if (looksThrough) return undefined
  return key === undefined
    ? 'Only what this process holds in memory was looked at: it has stored no answer of this path, so that it cannot tell the key that the shared store has it under.'
    : 'Of the shared store, what a plain GET of this URL is stored under: where `key` or `varyBy` make the key, other requests have others.'
}

async function keyOf(core: CacheCore, view: RequestView, policy: CachePolicy): Promise<string | undefined> {
  const made = await core.guarded('key', () => cacheKey(view, policy))
  return made?.key
}

/** A GET of nobody's, without any field. */
function plainGet(target: ReturnType<typeof splitTarget>, base: FindBase): RequestView {
  const { path, query } = target
  const params = new URLSearchParams(query)
  const parsed = Object.fromEntries(
    [...new Set(params.keys())].map((name) => {
      const values = params.getAll(name)
      return [name, values.length === 1 ? values[0] : values]
    }),
  )
  return {
    method: 'GET',
    scheme: target.scheme ?? base.scheme,
    authority: target.authority ?? base.authority,
    localPort: base.localPort,
    path,
    query,
    clientIp: undefined,
    route: undefined,
    header: () => undefined,
    property: (name) => (name === 'query' ? parsed : undefined),
    content: 'none',
    keyedFields: [],
    native: {},
    ticket: undefined,
  }
}
