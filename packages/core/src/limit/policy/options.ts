import type { MaybePromise } from '../../base/maybe-promise.ts'
import { checkOptions, rule } from '../../base/options.ts'
import { isTimeZone } from '../../base/time-zone.ts'
import { type Duration, durationMs } from '../../base/units.ts'
import type { AddressList } from '../../exchange/client/address-list.ts'
import type { KeyFunction } from '../../exchange/client/by.ts'
import type { RequestContext, ResponseContext } from '../../exchange/context.ts'
import type { AlgorithmKind } from '../algorithms/algorithm.ts'
import type { BanOptions } from '../bans/options.ts'
import type { LimitStore, Verdict } from '../store/store.ts'
import type { SlowDownOptions } from './slow-down.ts'

/**
 * Which fields tell clients about their quota. `draft-11`: `RateLimit-Policy` and `RateLimit` as in
 * draft-ietf-httpapi-ratelimit-headers-11; the value names the draft because the next one may rename members. `legacy`:
 * `X-RateLimit-Limit`, `-Remaining`, and `-Reset` in seconds since the epoch. `false`: none (Retry-After stays).
 */
export type HeaderStyle = 'draft-11' | 'legacy' | 'both' | false

/** What a limit is, as it stands under its name in `limits`, or in `sluice.limit({ … })`. A string is its rate. */
export interface PolicyOptions {
  /**
   * `N [/ | per] [M] unit [burst B]`, `N per calendar day` (or `week`, `month`: see `timeZone`) or `N concurrent`, several
   * joined by `;`; `'0'` admits nothing, `'unlimited'` everything. A function is asked at every request, for plans: `(c) => plans[c.user.plan]`. Where it answers `undefined`,
   * throws or answers nonsense, `defaultRate` holds; without one the request is refused with 503, and an `error` event tells.
   * A key whose rate is changed keeps what it has used. May be left out only with a `store` that has a rate of its own.
   */
  readonly rate?: string | ((c: RequestContext) => MaybePromise<string | 0 | undefined>) | undefined
  /** The rate where the function that is `rate` finds none: `'10/min'` for whoever has no plan. Default: an error. */
  readonly defaultRate?: string | undefined
  /**
   * How to count. Default `sliding-window`; `token-bucket` where there is a burst. Rates of the calendar are always counted by
   * `calendar-window`, concurrencies by `concurrent`: beside one of them it is about the other rates.
   */
  readonly algorithm?: AlgorithmKind | undefined
  /** How many may come at once: the same as `burst B` in the rate. Token bucket only. */
  readonly burst?: number | undefined
  /**
   * Where the days of a rate `per calendar day`, `week` or `month` begin: the name of a time zone (IANA), such as
   * `'Europe/Berlin'`. Weeks begin on Monday (ISO 8601). Where summer time begins or ends a day has 23 or 25 hours. All processes
   * need the same time-zone data, which comes with Node. Must be left out where no rate is of the calendar. Default `'UTC'`.
   *
   * @example
   * ```ts
   * createSluice({ limits: { plan: { rate: '10000 per calendar month; 5/s', timeZone: 'Europe/Berlin' } } })
   * ```
   */
  readonly timeZone?: string | undefined
  /**
   * A soft limit, as a part of the limit above 0, up to 1: from there on answers carry `RateLimit-Warning` (and
   * `X-RateLimit-NearLimit`, where `headers` says `legacy` or `both`), and the charge that brings what is used there emits
   * `near-limit`. Nobody is refused by it. Default: none.
   *
   * @example
   * ```ts
   * createSluice({ limits: { search: { rate: '100/min', warnAt: 0.8 } } })
   * // RateLimit-Warning: "search";r=20;q=100
   * ```
   */
  readonly warnAt?: number | undefined
  /**
   * Whom to count. Default `by.ip`. Where it answers `undefined` or throws, the request counts in a bucket shared by all
   * such requests, never in none; with `by.user`, where nobody is signed in or no name is found, by its address.
   */
  readonly key?: KeyFunction | undefined
  /**
   * How many units a request takes: a whole number of 0 or more, as a number or in digits (as query strings have it).
   * Fractions are rounded up; anything else, and a function that throws, counts as 1, with an event. Default 1.
   */
  readonly cost?: number | ((c: RequestContext) => MaybePromise<number | string>) | undefined
  /**
   * Whether a response counts: the request is charged before the handler and given back if this answers `false`, so
   * that there is nothing to race for. Counts also where the client went away before there was a response, and where it
   * throws. `(r) => r.status === 401` counts failed logins only.
   */
  readonly countIf?: ((r: ResponseContext) => MaybePromise<boolean>) | undefined
  /** Requests this answers `true` for are neither counted nor refused. Where it throws, they are. */
  readonly skip?: ((c: RequestContext) => MaybePromise<boolean>) | undefined
  /**
   * Clients this policy neither counts nor refuses, by address: a list of addresses and CIDR ranges, or an `addressList(…)` that is
   * changed at run time. Goes before `deny`.
   */
  readonly allow?: readonly string[] | AddressList | undefined
  /** Clients this policy refuses with 403, by address. Nothing is charged for them. */
  readonly deny?: readonly string[] | AddressList | undefined
  /** Count and report, and never refuse: for trying a policy out. Sends no fields. Default `false`. */
  readonly shadow?: boolean | undefined
  /**
   * While a remote store is out, or a function is later than `deadline`: admit everything (`open`), refuse everything with
   * 503 (`closed`), or count in this process's memory (`local`). Default `local`.
   */
  readonly onOutage?: 'open' | 'closed' | 'local' | undefined
  /** The part of the limit each process counts to while `onOutage: 'local'` holds: 1 / processes is exact. Default 1. */
  readonly share?: number | undefined
  /** Default: what the instance says, `draft-11`. */
  readonly headers?: HeaderStyle | undefined
  /**
   * How long a function of this policy's may take: `rate`, `key`, `cost`, `skip`, `countIf`, `respond`,
   * `status`, `redirect`. What happens then is
   * `onOutage`'s to say: `open` leaves the request out of this policy, `closed` refuses it with 503, `local` counts it with what
   * is known (the shared bucket, a cost of 1, the `defaultRate`, not skipped). Default 1 s.
   */
  readonly deadline?: Duration | undefined
  /**
   * Shuts a key out that this policy refuses again and again: `{ after: 10, within: '10m', for: '15m', factor: 2, max: '1d',
   * forget: '7d' }`, of which `after` and `for` must be given. While it is shut out it is answered 429 as
   * `abnormal-usage-detected` (draft-ietf-httpapi-ratelimit-headers-11 §5.3), and nothing is charged in any policy. A ban is for the
   * key in this policy: all its rates, all its routes. `by-hand`: only `sluice.ban(…)` shuts out. Not with `lease`, nor on a store
   * that keeps no bans. Default: nobody is shut out, and `sluice.ban(…)` refuses to.
   *
   * @example
   * ```ts
   * createSluice({ limits: { login: { rate: '5/min', ban: { after: 10, for: '15m' } } } })
   * ```
   */
  readonly ban?: BanOptions | 'by-hand' | undefined
  /** Replaces the body of a refusal. Status and fields stay. Where it throws, the standard body is sent. */
  readonly respond?: ((denial: Denial) => MaybePromise<DenialBody>) | undefined
  /**
   * `'error'`: a refusal is handed to the application's own error handling, as a `LimitError` with status, fields and
   * denial: Express's `next(error)`, Koa's `throw`, Fastify's `setErrorHandler`. Its fields are on the response by then. Plain
   * node:http has none, and gets the standard answer. Not beside `respond` or `redirect`. Default `'reply'`.
   *
   * @example
   * ```ts
   * createSluice({ limits: { pages: { rate: '60/min', refuse: 'error' } } })
   * ```
   */
  readonly refuse?: 'reply' | 'error' | undefined
  /**
   * The status of a refusal, 400 to 599: a number, or a function of the denial. Where that throws, is late or answers anything
   * else, the standard status, and an `error` event tells. Default: 429; 403 for `deny`, 503 where a store is out.
   */
  readonly status?: number | ((denial: Denial) => MaybePromise<number>) | undefined
  /**
   * Sends who is refused to another page, with 303 See Other (RFC 9110 §15.4.4) and no Retry-After (§10.2.3): a URL or a
   * path, or a function of the denial. What no URI has in it is percent-encoded; control characters are an error. The standard
   * answer is sent where the function answers `undefined` (to programs, say), throws, is late or answers nonsense, and to
   * requests for that page itself. Not beside `respond`, `status` or `refuse: 'error'`. Default: nowhere.
   *
   * @example
   * ```ts
   * createSluice({
   *   limits: {
   *     pages: {
   *       rate: '60/min',
   *       redirect: ({ request }) => (request.header('accept')?.includes('text/html') ? '/slow-down' : undefined),
   *     },
   *   },
   * })
   * ```
   */
  readonly redirect?: string | ((denial: Denial) => MaybePromise<string | undefined>) | undefined
  /**
   * Delays requests before it refuses any. Who comes over the quota waits in line until it can be charged, first come, first
   * served for each key in a process, if that takes no longer than `max` and there is a place (`queue`, `perKey`); who leaves
   * gives its place up, and was not charged. With `from` and `by` requests within the quota are held up as well, the longer
   * the nearer its end. Nothing waits for a `check()`, for a `shadow` policy, while a store is out with `onOutage: 'closed'`,
   * nor in the background. Default: none is delayed.
   *
   * @example
   * ```ts
   * createSluice({
   *   limits: {
   *     api: { rate: '10/s', slowDown: { max: '5s', queue: 200 } },
   *     search: { rate: '100/min', slowDown: { max: '3s', from: 0.5, by: '50ms' } },
   *   },
   * })
   * ```
   */
  readonly slowDown?: SlowDownOptions | undefined
  /** `route`: every route (matched pattern and method, never the raw URL) has a quota of its own. */
  readonly per?: 'route' | undefined
  /** With `by.ip`: how many leading bits of an IPv6 address are one client. Default 64. */
  readonly ipv6Prefix?: number | undefined
  /**
   * On Fastify: when it runs. `preHandler` where a function of yours needs the user, the session or the body. Default:
   * `preHandler` where the key is `by.user`, or `by.hash` of those or of a cookie; otherwise `onRequest`.
   */
  readonly phase?: 'onRequest' | 'preHandler' | undefined
  /** How many units a process takes from a remote store at a time: fewer round trips, never more admitted. Default 0. */
  readonly lease?: number | undefined
  /** For concurrencies: how long the permits of a process that was killed stay out. Default 30 s. */
  readonly permitTtl?: Duration | undefined
  /** A store for this policy alone: `flexible(new RateLimiterPostgres(…))`. Default: the instance's. */
  readonly store?: LimitStore | undefined
  /** For policies given in place: the same name is the same bucket, wherever it is mounted. Default: the rate, as text. */
  readonly name?: string | undefined
}

/** Why a request is refused, as `respond`, `status` and `redirect` are told. */
export interface Denial {
  readonly request: RequestContext
  /** 429; 403 where `deny` names the client; 503 where a store is out and the policy says `closed`; or what the policy's `status` says. */
  readonly status: number
  /** Names of the policies that refused. */
  readonly violated: readonly string[]
  /** The cost is above a limit, or the client is denied: no waiting helps. */
  readonly permanent: boolean
  /** The client is shut out for having been refused too often, or by hand: see `ban`. */
  readonly banned: boolean
  /** Milliseconds; `Infinity` where permanent. */
  readonly retryAfterMs: number
  readonly verdicts: readonly { readonly policy: string; readonly verdict: Verdict }[]
}

/** Text is sent as text/plain, bytes as application/octet-stream, anything else as JSON; or say what it is. */
export type DenialBody =
  | string
  | Uint8Array
  | { readonly contentType: string; readonly body: string | Uint8Array }
  | object

/** A policy with everything, or its rate. */
export type PolicyInput = string | PolicyOptions

const headerStyles = rule.oneOf('draft-11', 'legacy', 'both', false)

/** @throws SluiceError `ERR_SLUICE_OPTION` naming the option, the rule it breaks and the value */
export function checkPolicy(where: string, options: PolicyOptions): void {
  checkOptions<PolicyOptions>(where, options, {
    rate: rule.either(rule.string, rule.function),
    defaultRate: rule.string,
    algorithm: rule.oneOf(
      'sliding-window',
      'sliding-log',
      'token-bucket',
      'fixed-window',
      'calendar-window',
      'concurrent',
    ),
    burst: rule.positiveInteger,
    timeZone: (v) => (isTimeZone(v) ? undefined : "must be the name of a time zone (IANA), such as 'Europe/Berlin'"),
    warnAt: (v) => (typeof v === 'number' && v > 0 && v <= 1 ? undefined : 'must be a number above 0, up to 1'),
    key: rule.function,
    cost: rule.either(wholeNumber, rule.function),
    countIf: rule.function,
    skip: rule.function,
    allow: addresses,
    deny: addresses,
    shadow: rule.boolean,
    onOutage: rule.oneOf('open', 'closed', 'local'),
    share: rule.fraction,
    headers: headerStyles,
    deadline: rule.readableBy(deadlineMs, `${where}.deadline`),
    ban: rule.either(rule.oneOf('by-hand'), rule.object),
    respond: rule.function,
    refuse: rule.oneOf('reply', 'error'),
    status: rule.either(rule.positiveInteger, rule.function),
    redirect: rule.either(rule.string, rule.function),
    slowDown: rule.object,
    per: rule.oneOf('route'),
    ipv6Prefix: (v) =>
      Number.isInteger(v) && (v as number) >= 32 && (v as number) <= 128
        ? undefined
        : 'must be a whole number, 32 to 128',
    phase: rule.oneOf('onRequest', 'preHandler'),
    lease: wholeNumber,
    permitTtl: rule.readableBy(permitTtlMs, `${where}.permitTtl`),
    store: rule.object,
    name: rule.string,
  })
}

/** A list of addresses, or what has the methods of one. */
function addresses(value: unknown): string | undefined {
  const isList = typeof (value as Partial<AddressList> | null)?.has === 'function' || Array.isArray(value)
  return isList ? undefined : 'must be a list of addresses and ranges, or an addressList(…)'
}

export function checkHeaders(headers: unknown): string | undefined {
  return headerStyles(headers)
}

function wholeNumber(value: unknown): string | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'must be a whole number of 0 or more'
}

/** At least a second: what is shorter would be over before it could be renewed. */
export function permitTtlMs(option: string, value: Duration): number {
  return Math.max(1_000, durationMs(option, value))
}

/** At least a millisecond. */
export function deadlineMs(option: string, value: Duration): number {
  return Math.max(1, durationMs(option, value))
}
