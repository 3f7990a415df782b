import type { FiguresSnapshot, HistogramFigures, Occupancy, PolicyStats } from '@sluice/core'

/** A value, and what it is told apart by, in the order of the metric's labels. An empty label is left out. */
export type Row<Value> = readonly [value: Value, ...labels: readonly string[]]

interface Described {
  /** Without the prefix. */
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** How prom-client joins what the processes of a cluster say. */
  readonly joined: 'sum' | 'max'
}

/** One metric: what it is called, and what it is in a snapshot. */
export type Definition =
  | (Described & { readonly type: 'counter' | 'gauge'; read(at: FiguresSnapshot): readonly Row<number>[] })
  | (Described & { readonly type: 'histogram'; read(at: FiguresSnapshot): readonly Row<HistogramFigures>[] })

type Read = (at: FiguresSnapshot) => readonly Row<number>[]

function counter(name: string, help: string, labels: readonly string[], read: Read): Definition {
  return { type: 'counter', name, help, labels, joined: 'sum', read }
}

function gauge(name: string, help: string, labels: readonly string[], read: Read): Definition {
  return { type: 'gauge', name, help, labels, joined: 'sum', read }
}

/** A gauge of which the highest of all processes is what matters. */
function highest(name: string, help: string, labels: readonly string[], read: Read): Definition {
  return { type: 'gauge', name, help, labels, joined: 'max', read }
}

function histogram(
  name: string,
  help: string,
  labels: readonly string[],
  read: (at: FiguresSnapshot) => readonly Row<HistogramFigures>[],
): Definition {
  return { type: 'histogram', name, help, labels, joined: 'sum', read }
}

const ofCache: readonly Definition[] = [
  counter(
    'requests_total',
    'Requests that passed a cache, by what became of them. The reason is the word of Cache-Status.',
    ['route', 'method', 'result', 'reason'],
    ({ answers }) => answers.map((a) => [a.count, a.route, a.method, a.result, a.reason]),
  ),
  counter('front_requests_total', 'Of these, those answered in front of the application.', ['route'], ({ front }) =>
    front.map(({ route, count }) => [count, route]),
  ),
  histogram(
    'lookup_duration_seconds',
    'From a request at the cache to its stored answer. A sample: all while there are few, 200 a second of many, each for as many as it stands for.',
    ['route'],
    ({ lookups }) => lookups.map(({ route, durations }) => [durations, route]),
  ),
  histogram(
    'fill_duration_seconds',
    'From a miss to the whole answer of the handler; background: a refresh that no client waited for.',
    ['route', 'background'],
    ({ fills }) => fills.map((f) => [f.durations, f.route, String(f.background)]),
  ),
  counter(
    'fill_body_bytes_total',
    'Bodies that handlers made for a cache, as far as their length was known.',
    ['route', 'background'],
    ({ fills }) => fills.map((f) => [f.bytes, f.route, String(f.background)]),
  ),
  counter('stored_total', 'Answers that were stored.', [], ({ stats }) => [[stats.cache.stored]]),
  counter('not_stored_total', 'Answers that were not stored, by the word of Cache-Status.', ['reason'], (at) =>
    at.notStored.map(({ reason, count }) => [count, reason]),
  ),
  counter('revalidated_total', 'Stored answers that a handler confirmed with a 304.', [], ({ stats }) => [
    [stats.cache.revalidated],
  ]),
  counter('not_modified_total', 'Answers from the store that were a 304 or a part (206).', [], ({ stats }) => [
    [stats.cache.notModified],
  ]),
  counter('refreshes_total', 'Refreshes in the background that were begun.', [], ({ stats }) => [
    [stats.cache.refreshes],
  ]),
  gauge('entries', 'Answers held in the memory of this process.', [], ({ stats }) => [[stats.cache.entries]]),
  gauge('entries_bytes', 'What they take there, heads, keys and bookkeeping included.', [], ({ stats }) => [
    [stats.cache.bytes],
  ]),
  gauge('entries_max_bytes', 'What they may take there, at most.', [], ({ stats: { cache } }) =>
    cache.maxBytes === undefined ? [] : [[cache.maxBytes]],
  ),
  counter('evictions_total', 'Answers that had to make room for others.', [], ({ stats }) => [[stats.cache.evictions]]),
  counter('invalidations_total', 'Purges and expirations that this process began.', ['mode'], (at) =>
    at.invalidations.map(({ mode, count }) => [count, mode]),
  ),
  counter('invalidated_tags_total', 'Tags of these; a URL is one or two.', ['mode'], (at) =>
    at.invalidations.map(({ mode, tags }) => [tags, mode]),
  ),
]

const ofBackends: readonly Definition[] = [
  histogram(
    'backend_call_duration_seconds',
    'Calls of a store beyond this process (Redis). One that was too late is failed.',
    ['operation', 'outcome'],
    ({ backend }) => backend.map((b) => [b.durations, b.operation, b.ok ? 'ok' : 'failed']),
  ),
  gauge(
    'breakers_open',
    'Parts of a store that are known to be out, so that nobody is sent there.',
    ['store'],
    (at) => {
      const { cache, limits } = at.stats
      const open: (readonly [number | undefined, string])[] = [
        [cache.breakersOpen, 'cache'],
        [limits.store.breakersOpen, 'limits'],
      ]
      return open.flatMap(([count, store]) => (count === undefined ? [] : [[count, store] as const]))
    },
  ),
  highest(
    'bus_behind_seconds',
    'What was invalidated elsewhere longer ago than this is known here, or memory was forgotten.',
    [],
    ({ stats: { cache } }) => (cache.bus ? [[cache.bus.behindMs / 1_000]] : []),
  ),
  highest(
    'bus_delay_seconds',
    'How long the last message took that tried out the bus of invalidations.',
    [],
    ({ stats: { cache } }) => (cache.bus?.delayMs === undefined ? [] : [[cache.bus.delayMs / 1_000]]),
  ),
  counter('errors_total', 'What went wrong and was survived, by the code of the error.', ['code'], ({ errors }) =>
    errors.map(({ code, count }) => [count, code]),
  ),
]

const ofCompression: readonly Definition[] = [
  counter('compressed_bodies_total', 'Bodies that were compressed, for an answer or for the store.', ['coding'], (at) =>
    at.compression.map(({ coding, bodies }) => [bodies, coding]),
  ),
  counter('compression_input_bytes_total', 'What they took before.', ['coding'], ({ compression }) =>
    compression.map(({ coding, bytesIn }) => [bytesIn, coding]),
  ),
  counter('compression_output_bytes_total', 'What they took afterwards.', ['coding'], ({ compression }) =>
    compression.map(({ coding, bytesOut }) => [bytesOut, coding]),
  ),
]

/** A counter that each policy has. */
function perPolicy(name: string, help: string, of: (stats: Readonly<PolicyStats>) => number): Definition {
  return counter(name, help, ['policy'], ({ stats }) =>
    Object.entries(stats.limits.policies).map(([policy, own]) => [of(own), policy]),
  )
}

/** What each policy has of which so many may be under way at once. */
function perConcurrency(
  make: typeof gauge,
  name: string,
  help: string,
  of: (permits: Occupancy) => number | undefined,
): Definition {
  return make(name, help, ['policy'], ({ stats }) =>
    Object.entries(stats.limits.policies).flatMap(([policy, { permits }]): Row<number>[] => {
      const value = permits && of(permits)
      return value === undefined ? [] : [[value, policy]]
    }),
  )
}

const ofLimits: readonly Definition[] = [
  counter(
    'limit_decisions_total',
    'Decisions of policies; shadow_refused: would have been refused, but the policy is a shadow.',
    ['policy', 'result'],
    ({ stats }) =>
      Object.entries(stats.limits.policies).flatMap(([policy, own]): Row<number>[] => [
        [own.allowed, policy, 'allowed'],
        [own.denied, policy, 'refused'],
        [own.shadowDenied, policy, 'shadow_refused'],
      ]),
  ),
  perPolicy('limit_ban_refusals_total', 'Of the refused, those that were shut out.', (own) => own.banDenied),
  perPolicy('limit_bans_total', 'Bans that began by refusals.', (own) => own.bans),
  perPolicy('limit_near_total', 'Charges that reached the warnAt of a policy.', (own) => own.nearLimit),
  perPolicy('limit_delayed_total', 'Requests that a policy had a part in delaying.', (own) => own.delayed),
  perPolicy(
    'limit_refunds_total',
    'Charges that were given back: by countIf, by refund, by a refusal further on.',
    (own) => own.refunded,
  ),
  counter(
    'limit_outage_decisions_total',
    'Decisions of onOutage while the store was out: open (let pass), closed (refused), local (counted here alone).',
    ['policy', 'decision'],
    ({ stats }) =>
      Object.entries(stats.limits.policies).flatMap(([policy, own]): Row<number>[] => [
        [own.failedOpen, policy, 'open'],
        [own.failedClosed, policy, 'closed'],
        [own.countedLocally, policy, 'local'],
      ]),
  ),
  counter('limit_store_errors_total', 'Failures of the store of limits.', [], ({ stats }) => [
    [stats.limits.storeErrors],
  ]),
  perConcurrency(gauge, 'limit_permits', 'Permits that this process has out, of all keys.', ({ out }) => out),
  perConcurrency(highest, 'limit_permits_busiest', 'Of these, those of the key that has most.', (own) => own.busiest),
  perConcurrency(highest, 'limit_permits_max', 'How many permits one key may have out.', ({ limit }) => limit),
  gauge('limit_waiting', 'Requests that a limit delays at this moment.', [], ({ stats }) => [[stats.limits.waiting]]),
  gauge('limit_keys', 'Keys that limits hold in the memory of this process.', [], ({ stats }) => [
    [stats.limits.store.entries],
  ]),
  gauge('limit_keys_max', 'How many it may hold.', [], ({ stats: { limits } }) =>
    limits.store.maxEntries === undefined ? [] : [[limits.store.maxEntries]],
  ),
  counter('limit_evictions_total', 'Keys that left before their quota was full again, to make room.', [], (at) => [
    [at.stats.limits.store.evictions],
  ]),
  counter('limit_overflowed_total', 'Decisions from the bucket that newcomers share when memory is full.', [], (at) => [
    [at.stats.limits.store.overflowed],
  ]),
]

/** Stages of shedding have no names: they are numbered in the order in which they were made. */
const ofShedding: readonly Definition[] = [
  highest('shed_level', 'What is refused: 0 nothing, 1 sheddable, 2 default too, 3 critical too.', ['stage'], (at) =>
    at.stats.shed.stages.map(({ level }, i) => [level, String(i)]),
  ),
  counter('shed_admitted_total', 'Requests that went on.', ['stage'], ({ stats }) =>
    stats.shed.stages.map(({ admitted }, i) => [admitted, String(i)]),
  ),
  counter('shed_refused_total', 'Requests that were refused for load.', ['stage', 'priority'], ({ stats }) =>
    stats.shed.stages.flatMap(({ shed }, i) =>
      Object.entries(shed).map(([priority, count]): Row<number> => [count, String(i), priority]),
    ),
  ),
  gauge('shed_in_flight', 'Requests that are worked on, where concurrency is bounded.', ['stage'], ({ stats }) =>
    stats.shed.stages.flatMap(({ concurrency }, i): Row<number>[] =>
      concurrency ? [[concurrency.inFlight, String(i)]] : [],
    ),
  ),
  gauge('shed_concurrency_limit', 'How many may be, by what was measured.', ['stage'], ({ stats }) =>
    stats.shed.stages.flatMap(({ concurrency }, i): Row<number>[] =>
      concurrency ? [[concurrency.limit, String(i)]] : [],
    ),
  ),
  highest('event_loop_delay_seconds', 'How long the event loop keeps a request waiting.', [], ({ stats }) => [
    [stats.shed.delayMs / 1_000],
  ]),
  highest('event_loop_utilisation_ratio', 'The part of the time in which the event loop is busy.', [], ({ stats }) => [
    [stats.shed.utilisation],
  ]),
]

const ofWork: readonly Definition[] = [
  counter('memo_calls_total', 'Calls of memos, by what answered them.', ['result'], ({ stats: { memos } }) => [
    [memos.hits, 'hit'],
    [memos.misses, 'miss'],
    [memos.coalesced, 'collapsed'],
  ]),
  counter('memo_errors_total', 'Runs of memoised functions that threw.', [], ({ stats }) => [[stats.memos.errors]]),
  gauge('deferred_running', 'Deferred work that is under way.', [], ({ stats }) => [[stats.defer.running]]),
  gauge('deferred_waiting', 'Deferred work that waits for its turn.', [], ({ stats }) => [[stats.defer.waiting]]),
  counter('deferred_total', 'Deferred work, by how it ended.', ['result'], ({ stats: { defer } }) => [
    [defer.done, 'done'],
    [defer.failed, 'failed'],
    [defer.dropped, 'dropped'],
  ]),
]

/** All there is to export, in the order of docs/guide/metrics.md. */
export const definitions: readonly Definition[] = [
  ...ofCache,
  ...ofBackends,
  ...ofCompression,
  ...ofLimits,
  ...ofShedding,
  ...ofWork,
]
