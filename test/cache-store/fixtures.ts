import type { Clock } from '../../packages/core/src/base/clock.ts'
import type { CacheRecord, RecordTarget } from '../../packages/core/src/cache/entry/record.ts'
import type { Vacancy, Variant, VariantSelector } from '../../packages/core/src/cache/store/store.ts'

export interface TestClock extends Clock {
  /** Lets time pass, for both of its readings. */
  tick(ms: number): void
  /** Sets the calendar alone. */
  setWall(ms: number): void
}

/** A clock that stands until it is told to move. Its two readings differ, as those of a real one may. */
export function testClock(nowMs = 5_000, wallMs = 1_800_000_000_000): TestClock {
  let now = nowMs
  let wall = wallMs
  return {
    now: () => now,
    wall: () => wall,
    after: () => () => {},
    tick(ms) {
      now += ms
      wall += ms
    },
    setWall(ms) {
      wall = ms
    },
  }
}

export const target: RecordTarget = {
  scheme: 'http',
  authority: 'api.test',
  path: '/cities',
  query: '',
  route: '/cities',
  params: undefined,
}

/** A record that was stored now and is fresh for a minute. */
export function makeRecord(
  clock: Clock,
  body: string | Uint8Array = 'body',
  over: Partial<CacheRecord> = {},
): CacheRecord {
  const now = clock.now()
  return {
    kind: 'record',
    status: 200,
    fields: ['Content-Type', 'application/json'],
    forms: [{ coding: 'identity', body: Buffer.from(body as string), etag: '"tag"' }],
    dateMs: clock.wall(),
    storedAt: now,
    initialAgeMs: 0,
    staleAt: now + 60_000,
    whileRevalidateUntil: now + 60_000,
    ifErrorUntil: now + 60_000,
    deleteAt: now + 60_000,
    mustRevalidate: false,
    fillMs: 3,
    shared: true,
    ownTag: true,
    tags: [],
    target,
    ...over,
  }
}

export const plain: Variant = { spec: { fields: [], codings: [] }, select: () => '' }

/** The selector of a request that has these fields. */
export function requestWith(fields: Readonly<Record<string, string>>): VariantSelector {
  return (spec) => JSON.stringify([spec.fields.map((name) => fields[name] ?? null), spec.codings])
}

/** The variant of a response to that request, under a Vary of these names. */
export function variantFor(names: readonly string[], fields: Readonly<Record<string, string>>): Variant {
  return { spec: { fields: [...names].sort(), codings: [] }, select: requestWith(fields) }
}

export function bodyOf(found: CacheRecord | Vacancy): string {
  return found.kind === 'record' ? Buffer.from(found.forms[0]!.body).toString() : `vacancy:${found.reason}`
}
