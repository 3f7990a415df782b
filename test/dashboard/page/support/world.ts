import type { EventLine, Frame, RouteRow, Sample, UrlRow } from '../../../../packages/dashboard/src/page/contract.ts'

/** What a server of the page could be asked to show: how much of it, and on what. */
export interface WorldOptions {
  readonly processes?: number
  readonly routes?: number
  /** Nothing has happened yet. */
  readonly empty?: boolean
  readonly redis?: boolean
  readonly actions?: Frame['actions']
  /** Texts as somebody would send who means ill; they stand wherever texts of others do. */
  readonly hostile?: string
  /** When it is. */
  readonly now?: number
}

/** Numbers that are the same each time. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return state / 4_294_967_296
  }
}

const names = [
  'cities',
  'countries',
  'search',
  'people/:id',
  'cities/:id',
  'cities/:id/weather',
  'offers',
  'basket',
  'map/:z/:x/:y',
]

const whys = [
  undefined,
  undefined,
  {
    reason: 'unkeyed-cookie',
    cause: 'The handler read the cookie `theme`, by which answers are not told apart.',
    remedy: "`sluice.cache('1m', { varyBy: [by.cookie('theme')] })`",
  },
  {
    reason: 'authorization',
    cause: 'The request has credentials, and nothing says that its answer is not theirs alone (RFC 9111 §3.5).',
    remedy: '`varyBy: by.user`, or `public: true` if it is the same for everybody.',
  },
  undefined,
  undefined,
  { reason: 'no-store', cause: 'The handler said `Cache-Control: no-store`.', remedy: 'Nothing: this is right.' },
]

/** A server's story, as the contract tells it: it goes on with each `tick`. */
export class World {
  readonly options: Required<Omit<WorldOptions, 'hostile'>> & { readonly hostile: string | undefined }
  readonly routes: readonly RouteRow[]
  readonly samples: Sample[] = []
  readonly events: EventLine[] = []
  now: number
  bans = 0
  readonly #random = seeded(7)

  constructor(options: WorldOptions = {}) {
    this.options = {
      processes: 1,
      routes: 9,
      empty: false,
      redis: false,
      actions: [],
      hostile: undefined,
      now: Date.now(),
      ...options,
    }
    const { empty, routes, now } = this.options
    this.now = now - 300_000
    this.routes = empty ? [] : Array.from({ length: routes }, (_, index) => this.#route(index))
    this.bans = empty ? 0 : 2
    for (let each = 0; each < 150; each++) this.tick()
    if (!empty) this.#tellOfThePast()
  }

  /** Two seconds pass. */
  tick(): Sample {
    this.now += 2_000
    const sample = this.options.empty ? this.#silence() : this.#traffic()
    this.samples.push(sample)
    return sample
  }

  tell(level: EventLine['level'], event: string, message: string, fields: EventLine['fields'] = {}, agoMs = 0): void {
    this.events.push({ id: this.events.length + 1, at: this.now - agoMs, level, event, message, fields })
  }

  /** What is new since a moment. */
  frame(since = 0): Frame {
    const { empty, redis, actions, hostile, processes } = this.options
    const sum = (name: 'hit' | 'stale' | 'miss' | 'collapsed' | 'bypass' | 'refused' | 'allowed'): number =>
      this.samples.reduce((all, sample) => all + sample[name], 0) * (empty ? 0 : 40)
    const h = (text: string): string => hostile ?? text
    return {
      at: this.now,
      backend: redis ? 'redis' : 'memory',
      joined: redis,
      processes: Array.from({ length: processes }, (_, index) => ({
        id: `process-${index}`,
        host: h(`api-${1 + Math.floor(index / 4)}`),
        pid: 4_100 + index * 17,
        node: '22.14.0',
        sluice: index === 9 ? '0.0.9' : '0.1.0',
        uptimeMs: 3_600_000 * (index + 1) + (this.now % 1_000_000),
        rssBytes: 140e6 + index * 7e6,
        loopDelayMs: 0.4 + index * 0.3,
        ageMs: index === 0 ? 0 : 400 + index * 190,
        lagMs: redis ? index * 3 : null,
        isThis: index === 0,
        requestsPerSecond: empty ? 0 : 62 + index * 3,
        hitRate: empty ? null : 0.86 + index * 0.01,
      })),
      samples: this.samples.filter(({ at }) => at > since),
      totals: {
        hit: sum('hit'),
        stale: sum('stale'),
        miss: sum('miss'),
        collapsed: sum('collapsed'),
        bypass: sum('bypass'),
        stored: sum('miss'),
        notStored: Math.floor(sum('bypass') / 2),
        purges: empty ? 0 : 41,
        expires: empty ? 0 : 7,
        savedMs: sum('hit') * 38,
        errors: empty ? 0 : 3,
      },
      memory: {
        entries: empty ? 0 : 18_432,
        bytes: empty ? 0 : 47_300_000,
        maxBytes: 64_000_000 * processes,
        evictions: empty ? 0 : 1_204,
        limitKeys: empty ? 0 : 5_210,
        breakersOpen: 0,
        ...(redis && { server: { usedBytes: 212_000_000, maxBytes: 512_000_000, evictedKeys: 0 } }),
      },
      policies: empty
        ? []
        : [
            this.#policy(h('ip'), sum('allowed'), sum('refused')),
            this.#policy('search', Math.floor(sum('allowed') / 3), Math.floor(sum('refused') / 4), 61),
            { ...this.#policy('login', 1_210, 96), banRefused: 212 },
            { ...this.#policy('reports', 822, 5), delayed: 118, occupancy: { out: 11, busiest: 7, of: 8 } },
          ],
      refusedKeys: empty
        ? []
        : ['k3Jd9s0aQm', 'p0Zb7t_1xY', 'Tt81mLLq-e', '9sHc44uWnB'].map((key, index) => ({
            policy: index === 3 ? 'search' : 'ip',
            key: h(key),
            count: 318 - index * 74,
          })),
      bans: this.bans,
      shed: empty ? [] : [{ stage: 1, level: 0, admitted: 48_113, refused: 12, inFlight: 14, limit: 64 }],
      top: empty
        ? { hits: [], size: [], fill: [] }
        : {
            hits: this.#urls((index) => Math.floor(4_200 / (index + 1))),
            size: this.#urls((index) => Math.floor(2_400_000 / (index + 1) ** 2)),
            fill: this.#urls((index) => 1_850 / (index + 1)),
          },
      tags: empty
        ? []
        : ['cities', 'countries', 'city:7', 'city:11', 'offers', 'weather'].map((tag, index) => ({
            tag: h(tag),
            stored: Math.floor(900 / (index + 1)),
            invalidated: index % 3,
          })),
      events: this.events.filter(({ at }) => at > since),
      actions,
    }
  }

  #tellOfThePast(): void {
    const { hostile } = this.options
    const h = (text: string): string => hostile ?? text
    this.tell('info', 'purge', h('Purged tag:cities'), { who: h('ann'), what: h('tag:cities') }, 240_000)
    this.tell(
      'warn',
      'guard',
      h('An answer of /search was not stored: its handler read the cookie theme'),
      { route: h('/search'), advice: h("varyBy: [by.cookie('theme')]") },
      180_000,
    )
    this.tell(
      'error',
      'backend',
      h('Redis did not answer within 250 ms; answers come from memory'),
      { code: 'ETIMEOUT' },
      95_000,
    )
    this.tell('info', 'backend', 'Redis answers again', { after: '4.1 s' }, 90_000)
    this.tell('warn', 'ban', 'A key is shut out of login for 10 minutes', { policy: 'login', times: '2' }, 31_000)
    this.tell('info', 'expire', 'Expired route:/cities/:id', { who: 'ann' }, 8_000)
  }

  #silence(): Sample {
    const nothing = { hit: 0, stale: 0, miss: 0, collapsed: 0, bypass: 0, allowed: 0, refused: 0, errors: 0 }
    return { at: this.now, ms: 2_000, ...nothing, lookups: null, fills: null, backendCalls: null }
  }

  #traffic(): Sample {
    const random = this.#random
    const { processes, redis } = this.options
    const wave = 1 + 0.35 * Math.sin(this.now / 31_000) + 0.1 * random()
    const all = Math.floor(124 * wave * processes)
    // A purge some two minutes ago, from which the cache recovers.
    const since = this.now - (this.options.now - 130_000)
    const dip = since >= 0 && since < 26_000 ? 0.6 * (1 - since / 26_000) : 0
    const hit = Math.floor(all * (0.84 - dip + 0.03 * random()))
    const stale = Math.floor(all * 0.035)
    const collapsed = Math.floor(all * (0.012 + dip / 4))
    const bypass = Math.floor(all * 0.03)
    const spread = (ms: number) => {
      const p50 = ms * (0.9 + 0.2 * random())
      return { p50, p95: p50 * (2.1 + 0.5 * random()), p99: p50 * (3.8 + 1.6 * random()) }
    }
    return {
      at: this.now,
      ms: 2_000,
      hit,
      stale,
      miss: Math.max(0, all - hit - stale - collapsed - bypass),
      collapsed,
      bypass,
      allowed: all,
      refused: Math.floor(all * (since > 40_000 && since < 80_000 ? 0.12 : 0.012) * random()),
      lookups: spread(redis ? 0.6 : 0.045),
      fills: spread(31 * (1 + dip)),
      backendCalls: redis ? spread(0.42 * (1 + dip)) : null,
      errors: 0,
    }
  }

  #route(index: number): RouteRow {
    const { hostile } = this.options
    const requests = Math.floor(90_000 / (index + 1)) + 3
    const hitRate = index % 7 === 3 ? 0 : 0.97 - (index % 9) * 0.06
    const hit = Math.floor(requests * hitRate * 0.95)
    const stale = Math.floor(requests * hitRate * 0.04)
    const collapsed = Math.floor(requests * hitRate * 0.01)
    const bypass = index % 7 === 3 ? Math.floor(requests * 0.8) : Math.floor(requests * 0.01)
    const why = whys[index % whys.length]
    const name = `/${names[index % names.length]}${index < names.length ? '' : `/${index}`}`
    return {
      // Names tell rows apart: a hostile one has its number at the end.
      route: hostile === undefined ? name : `/${index}${hostile}`,
      requests,
      hit,
      stale,
      miss: requests - hit - stale - collapsed - bypass,
      collapsed,
      bypass,
      hitRate,
      savedMs: hit * (12 + (index % 5) * 21),
      fillMs: index % 11 === 10 ? null : 12.4 + (index % 5) * 21,
      fillBytes: 4_800,
      ...(why && { why: hostile === undefined ? why : { reason: hostile, cause: hostile, remedy: hostile } }),
      terms:
        hostile === undefined
          ? index % 3 === 0
            ? ['?lang', '?page']
            : index % 4 === 1
              ? ['accept-language', 'user']
              : []
          : [hostile],
    }
  }

  #policy(policy: string, allowed: number, refused: number, shadowRefused = 0) {
    return { policy, allowed, refused, shadowRefused, banRefused: 0, delayed: 0 }
  }

  #urls(value: (index: number) => number): UrlRow[] {
    const { hostile } = this.options
    return [
      '/cities?page=1',
      '/cities/7',
      '/countries',
      '/search?q=a%20rather%20long%20question&lang=en',
      '/map/4/7/11',
      '/offers?sort=price',
    ].map((url, index) => ({
      method: 'GET',
      url: hostile === undefined ? url : `/${index}${hostile}`,
      route: url.replace(/\?.*/, ''),
      value: value(index),
    }))
  }
}
