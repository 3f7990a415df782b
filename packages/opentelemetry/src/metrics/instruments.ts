import type { Attributes } from '@opentelemetry/api'
import type { FiguresSnapshot, Occupancy, PolicyStats } from '@sluice/core'
import { errorType, method, methodValue, otherValue, routeAttribute } from '../attributes.ts'

/** Takes one value of an instrument. */
export type Observe = (value: number, attributes?: Attributes) => void

/** An instrument that is read when figures are collected. `sum`: it goes up and down, and those of several processes add up. */
export interface Instrument {
  readonly kind: 'counter' | 'sum' | 'gauge'
  readonly name: string
  /** A unit of UCUM. */
  readonly unit: string
  readonly description: string
  /** All that it may have. */
  readonly attributes: readonly string[]
  read(at: FiguresSnapshot, observe: Observe): void
}

type Named = readonly [name: string, unit: string, description: string, ...attributes: string[]]

const made = (kind: Instrument['kind'], of: Named, read: Instrument['read']): Instrument => {
  const [name, unit, description, ...attributes] = of
  return { kind, name: `sluice.${name}`, unit, description, attributes, read }
}
const counter = (of: Named, read: Instrument['read']): Instrument => made('counter', of, read)
const sum = (of: Named, read: Instrument['read']): Instrument => made('sum', of, read)
const gauge = (of: Named, read: Instrument['read']): Instrument => made('gauge', of, read)

const result = 'sluice.result'
const reason = 'sluice.reason'
const background = 'sluice.background'
const mode = 'sluice.mode'
const coding = 'sluice.coding'

const ofCache: readonly Instrument[] = [
  counter(
    [
      'requests',
      '{request}',
      'Requests that passed a cache, by what became of them. The reason is the word of Cache-Status.',
      ...['http.route', method, result, reason],
    ],
    ({ answers }, observe) => {
      for (const a of answers) {
        observe(a.count, {
          ...routeAttribute(a.route),
          [method]: methodValue(a.method),
          [result]: a.result,
          ...(a.reason === '' ? {} : { [reason]: a.reason }),
        })
      }
    },
  ),
  counter(
    ['front.requests', '{request}', 'Of these, those answered in front of the application.', 'http.route'],
    ({ front }, observe) => {
      for (const { route, count } of front) observe(count, routeAttribute(route))
    },
  ),
  counter(
    [
      'fill.body.size',
      'By',
      'Bodies that handlers made for a cache, as far as their length was known.',
      ...['http.route', background],
    ],
    ({ fills }, observe) => {
      for (const fill of fills) observe(fill.bytes, { ...routeAttribute(fill.route), [background]: fill.background })
    },
  ),
  counter(['cache.stored', '{response}', 'Answers that were stored.'], ({ stats }, observe) =>
    observe(stats.cache.stored),
  ),
  counter(
    ['cache.not_stored', '{response}', 'Answers that were not stored, by the word of Cache-Status.', reason],
    ({ notStored }, observe) => {
      for (const one of notStored) observe(one.count, { [reason]: one.reason })
    },
  ),
  counter(
    ['cache.revalidated', '{response}', 'Stored answers that a handler confirmed with a 304.'],
    ({ stats }, observe) => observe(stats.cache.revalidated),
  ),
  counter(
    ['cache.not_modified', '{response}', 'Answers from the store that were a 304 or a part (206).'],
    ({ stats }, observe) => observe(stats.cache.notModified),
  ),
  counter(['cache.refreshes', '{refresh}', 'Refreshes in the background that were begun.'], ({ stats }, observe) =>
    observe(stats.cache.refreshes),
  ),
  sum(['cache.entries', '{entry}', 'Answers held in the memory of this process.'], ({ stats }, observe) =>
    observe(stats.cache.entries),
  ),
  sum(['cache.size', 'By', 'What they take there, heads, keys and bookkeeping included.'], ({ stats }, observe) =>
    observe(stats.cache.bytes),
  ),
  sum(['cache.max_size', 'By', 'What they may take there, at most.'], ({ stats }, observe) => {
    if (stats.cache.maxBytes !== undefined) observe(stats.cache.maxBytes)
  }),
  counter(['cache.evictions', '{entry}', 'Answers that had to make room for others.'], ({ stats }, observe) =>
    observe(stats.cache.evictions),
  ),
  counter(
    ['invalidations', '{invalidation}', 'Purges and expirations that this process began.', mode],
    ({ invalidations }, observe) => {
      for (const one of invalidations) observe(one.count, { [mode]: one.mode })
    },
  ),
  counter(['invalidated_tags', '{tag}', 'Tags of these; a URL is one or two.', mode], ({ invalidations }, observe) => {
    for (const one of invalidations) observe(one.tags, { [mode]: one.mode })
  }),
]

const ofBackends: readonly Instrument[] = [
  sum(
    [
      'breakers.open',
      '{breaker}',
      'Parts of a store that are known to be out, so that nobody is sent there.',
      'sluice.store',
    ],
    ({ stats }, observe) => {
      const { cache, limits } = stats
      if (cache.breakersOpen !== undefined) observe(cache.breakersOpen, { 'sluice.store': 'cache' })
      if (limits.store.breakersOpen !== undefined) observe(limits.store.breakersOpen, { 'sluice.store': 'limits' })
    },
  ),
  counter(
    ['errors', '{error}', 'What went wrong and was survived, by the code of the error.', errorType],
    ({ errors }, observe) => {
      for (const { code, count } of errors) observe(count, { [errorType]: code })
    },
  ),
]

const ofBus: readonly Instrument[] = [
  gauge(
    ['bus.behind', 's', 'What was invalidated elsewhere longer ago than this is known here, or memory was forgotten.'],
    ({ stats: { cache } }, observe) => {
      if (cache.bus) observe(cache.bus.behindMs / 1_000)
    },
  ),
  gauge(
    ['bus.delay', 's', 'How long the last message took that tried out the bus of invalidations.'],
    ({ stats: { cache } }, observe) => {
      if (cache.bus?.delayMs !== undefined) observe(cache.bus.delayMs / 1_000)
    },
  ),
]

const ofCompression: readonly Instrument[] = [
  counter(
    ['compression.bodies', '{body}', 'Bodies that were compressed, for an answer or for the store.', coding],
    ({ compression }, observe) => {
      for (const one of compression) observe(one.bodies, { [coding]: one.coding })
    },
  ),
  counter(['compression.input', 'By', 'What they took before.', coding], ({ compression }, observe) => {
    for (const one of compression) observe(one.bytesIn, { [coding]: one.coding })
  }),
  counter(['compression.output', 'By', 'What they took afterwards.', coding], ({ compression }, observe) => {
    for (const one of compression) observe(one.bytesOut, { [coding]: one.coding })
  }),
]

/**
 * The words of `aspnetcore.rate_limiting.*`, the one convention there is for limits, below our own name: what is counted, and the
 * values, are not quite the same.
 */
const policy = 'sluice.rate_limiting.policy'
const decided = 'sluice.rate_limiting.result'

/** A counter that each policy has. */
const perPolicy = (of: Named, value: (stats: Readonly<PolicyStats>) => number): Instrument =>
  counter([of[0], of[1], of[2], policy], ({ stats }, observe) => {
    for (const [name, own] of Object.entries(stats.limits.policies)) observe(value(own), { [policy]: name })
  })

/** What each policy has of which so many may be under way at once. */
const perConcurrency = (make: typeof sum, of: Named, value: (permits: Occupancy) => number | undefined): Instrument =>
  make([of[0], of[1], of[2], policy], ({ stats }, observe) => {
    for (const [name, { permits }] of Object.entries(stats.limits.policies)) {
      const own = permits && value(permits)
      if (own !== undefined) observe(own, { [policy]: name })
    }
  })

const ofLimits: readonly Instrument[] = [
  counter(
    [
      'rate_limiting.requests',
      '{request}',
      'Decisions of policies; shadow_refused: would have been refused, but the policy is a shadow.',
      ...[policy, decided],
    ],
    ({ stats }, observe) => {
      for (const [name, own] of Object.entries(stats.limits.policies)) {
        observe(own.allowed, { [policy]: name, [decided]: 'allowed' })
        observe(own.denied, { [policy]: name, [decided]: 'refused' })
        observe(own.shadowDenied, { [policy]: name, [decided]: 'shadow_refused' })
      }
    },
  ),
  perPolicy(
    ['rate_limiting.ban_refusals', '{request}', 'Of the refused, those that were shut out.'],
    (own) => own.banDenied,
  ),
  perPolicy(['rate_limiting.bans', '{ban}', 'Bans that began by refusals.'], (own) => own.bans),
  perPolicy(
    ['rate_limiting.near', '{request}', 'Charges that reached the warnAt of a policy.'],
    (own) => own.nearLimit,
  ),
  perPolicy(
    ['rate_limiting.delayed', '{request}', 'Requests that a policy had a part in delaying.'],
    (own) => own.delayed,
  ),
  counter(
    [
      'rate_limiting.outage_decisions',
      '{request}',
      'Decisions of onOutage while the store was out: open (let pass), closed (refused), local (counted here alone).',
      ...[policy, decided],
    ],
    ({ stats }, observe) => {
      for (const [name, own] of Object.entries(stats.limits.policies)) {
        observe(own.failedOpen, { [policy]: name, [decided]: 'open' })
        observe(own.failedClosed, { [policy]: name, [decided]: 'closed' })
        observe(own.countedLocally, { [policy]: name, [decided]: 'local' })
      }
    },
  ),
  counter(['rate_limiting.store_errors', '{error}', 'Failures of the store of limits.'], ({ stats }, observe) =>
    observe(stats.limits.storeErrors),
  ),
  perPolicy(
    [
      'rate_limiting.refunds',
      '{request}',
      'Charges that were given back: by countIf, by refund, by a refusal further on.',
    ],
    (own) => own.refunded,
  ),
  perConcurrency(
    sum,
    ['rate_limiting.active_request_leases', '{request}', 'Permits that this process has out, of all keys.'],
    ({ out }) => out,
  ),
  perConcurrency(
    gauge,
    ['rate_limiting.busiest_key_leases', '{request}', 'Of these, those of the key that has most.'],
    ({ busiest }) => busiest,
  ),
  perConcurrency(
    gauge,
    ['rate_limiting.max_leases', '{request}', 'How many permits one key may have out.'],
    ({ limit }) => limit,
  ),
  sum(
    ['rate_limiting.queued_requests', '{request}', 'Requests that a limit delays at this moment.'],
    ({ stats }, observe) => observe(stats.limits.waiting),
  ),
  sum(['rate_limiting.keys', '{key}', 'Keys that limits hold in the memory of this process.'], ({ stats }, observe) =>
    observe(stats.limits.store.entries),
  ),
  sum(['rate_limiting.max_keys', '{key}', 'How many it may hold.'], ({ stats }, observe) => {
    if (stats.limits.store.maxEntries !== undefined) observe(stats.limits.store.maxEntries)
  }),
  counter(
    ['rate_limiting.evictions', '{key}', 'Keys that left before their quota was full again, to make room.'],
    ({ stats }, observe) => observe(stats.limits.store.evictions),
  ),
  counter(
    ['rate_limiting.overflowed', '{request}', 'Decisions from the bucket that newcomers share when memory is full.'],
    ({ stats }, observe) => observe(stats.limits.store.overflowed),
  ),
]

/** Stages of shedding have no names: they are numbered in the order in which they were made. */
const stage = 'sluice.shed.stage'
const priority = 'sluice.shed.priority'

const ofShedding: readonly Instrument[] = [
  gauge(
    ['shed.level', '1', 'What is refused: 0 nothing, 1 sheddable, 2 default too, 3 critical too.', stage],
    ({ stats }, observe) => {
      for (const [i, { level }] of stats.shed.stages.entries()) observe(level, { [stage]: i })
    },
  ),
  counter(['shed.admitted', '{request}', 'Requests that went on.', stage], ({ stats }, observe) => {
    for (const [i, { admitted }] of stats.shed.stages.entries()) observe(admitted, { [stage]: i })
  }),
  counter(
    ['shed.refused', '{request}', 'Requests that were refused for load.', stage, priority],
    ({ stats }, observe) => {
      for (const [i, { shed }] of stats.shed.stages.entries()) {
        for (const [of, count] of Object.entries(shed)) observe(count, { [stage]: i, [priority]: of })
      }
    },
  ),
  sum(
    ['shed.in_flight', '{request}', 'Requests that are worked on, where concurrency is bounded.', stage],
    ({ stats }, observe) => {
      for (const [i, { concurrency }] of stats.shed.stages.entries()) {
        if (concurrency) observe(concurrency.inFlight, { [stage]: i })
      }
    },
  ),
  sum(
    ['shed.concurrency_limit', '{request}', 'How many may be, by what was measured.', stage],
    ({ stats }, observe) => {
      for (const [i, { concurrency }] of stats.shed.stages.entries()) {
        if (concurrency) observe(concurrency.limit, { [stage]: i })
      }
    },
  ),
  // `nodejs.eventloop.*` is what another instrumentation tells of the whole process: twice would be once too often.
  gauge(['eventloop.delay', 's', 'How long the event loop keeps a request waiting.'], ({ stats }, observe) =>
    observe(stats.shed.delayMs / 1_000),
  ),
  gauge(['eventloop.utilization', '1', 'The part of the time in which the event loop is busy.'], ({ stats }, observe) =>
    observe(stats.shed.utilisation),
  ),
]

const ofWork: readonly Instrument[] = [
  counter(['memo.calls', '{call}', 'Calls of memos, by what answered them.', result], ({ stats }, observe) => {
    observe(stats.memos.hits, { [result]: 'hit' })
    observe(stats.memos.misses, { [result]: 'miss' })
    observe(stats.memos.coalesced, { [result]: 'collapsed' })
  }),
  counter(['memo.errors', '{error}', 'Runs of memoised functions that threw.'], ({ stats }, observe) =>
    observe(stats.memos.errors),
  ),
  sum(['deferred.running', '{task}', 'Deferred work that is under way.'], ({ stats }, observe) =>
    observe(stats.defer.running),
  ),
  sum(['deferred.waiting', '{task}', 'Deferred work that waits for its turn.'], ({ stats }, observe) =>
    observe(stats.defer.waiting),
  ),
  counter(['deferred.tasks', '{task}', 'Deferred work, by how it ended.', result], ({ stats }, observe) => {
    observe(stats.defer.done, { [result]: 'done' })
    observe(stats.defer.failed, { [result]: 'failed' })
    observe(stats.defer.dropped, { [result]: 'dropped' })
  }),
]

/** All that is read when figures are collected, in the order of docs/guide/traces.md. */
export const instruments: readonly Instrument[] = [
  ...ofCache,
  ...ofBackends,
  ...ofBus,
  ...ofCompression,
  ...ofLimits,
  ...ofShedding,
  ...ofWork,
]

/** Distributions are recorded as they happen: the API has none that is read. */
export const durations = {
  lookup: {
    name: 'sluice.lookup.duration',
    unit: 's',
    description:
      'From a request at the cache to its stored answer. A sample: all while there are few, 200 a second of many.',
    attributes: ['http.route'],
  },
  fill: {
    name: 'sluice.fill.duration',
    unit: 's',
    description: 'From a miss to the whole answer of the handler; background: a refresh that no client waited for.',
    attributes: ['http.route', background],
  },
  backend: {
    name: 'db.client.operation.duration',
    unit: 's',
    description: 'Calls of a store beyond this process (Redis). One that was too late has failed.',
    attributes: ['db.system.name', 'db.operation.name', errorType],
  },
} as const

/** Of a call that has failed; why is told by the span. */
export const failedCall: Attributes = { [errorType]: otherValue }

export const fillAttributes = (route: string, isBackground: boolean): Attributes => ({
  ...routeAttribute(route),
  [background]: isBackground,
})
