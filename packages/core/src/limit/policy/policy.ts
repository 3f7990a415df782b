import type { Calendar, Period } from '../../base/calendar.ts'
import { optionError, SluiceError } from '../../base/errors.ts'
import { type AddressList, addressList } from '../../exchange/client/address-list.ts'
import { by, type KeyFunction, readsLate } from '../../exchange/client/by.ts'
import { sfInteger, sfString } from '../../http/structured/serialise.ts'
import { algorithmFor } from '../algorithms/algorithm-for.ts'
import { banQuota } from '../bans/quota.ts'
import { newPolicyStats, type PolicyStats } from '../limiter-stats.ts'
import type { LimitStore, Quota } from '../store/store.ts'
import type { Labels } from './labels.ts'
import {
  checkPolicy,
  deadlineMs,
  type HeaderStyle,
  type PolicyInput,
  type PolicyOptions,
  permitTtlMs,
} from './options.ts'
import { type CalendarRate, parseRate, type Rate, rateText } from './rate.ts'
import { type Refusing, refusingOf } from './refusing.ts'
import { type SlowDown, slowDownOf } from './slow-down.ts'

/** A quota with what answers say about it, written once. */
export interface AnsweringQuota extends Quota {
  readonly headers: HeaderStyle
  /** Its member of `RateLimit-Policy`. */
  readonly policyMember: string
  /** The same where it changes with time: calendar months are not of one length. */
  readonly policyMemberAt: ((ms: number) => string) | undefined
  /** The part of the limit from which on clients are warned. */
  readonly warnAt: number | undefined
  /** The beginning of its member of `RateLimit`. */
  readonly limitMember: string
}

/** What a request is charged by a policy: so many units of each of these quotas. */
export interface Price {
  readonly quotas: readonly AnsweringQuota[]
  readonly cost: number
}

/** A policy, resolved. What the hot path reads. */
export interface Policy extends Pick<PolicyOptions, 'countIf' | 'skip'> {
  readonly name: string
  /** The path of its options, for messages. */
  readonly where: string
  /** What it was made from: the same name must not stand for two policies. */
  readonly input: PolicyInput
  /** Empty where the rate is a function. */
  readonly quotas: readonly AnsweringQuota[]
  readonly rate: Exclude<PolicyOptions['rate'], string>
  /** Where the rate is a function: the quotas where it finds none. */
  readonly defaultQuotas: readonly AnsweringQuota[] | undefined
  /** What every request is charged; `undefined` where rate or cost is a function. */
  readonly price: Price | undefined
  /** What shuts keys out that are refused again and again: charged behind the quotas, at no cost. */
  readonly ban: AnsweringQuota | undefined
  /** The quotas of a rate that was found out at a request. */
  readonly quotasOf: (rate: unknown) => readonly AnsweringQuota[]
  readonly key: KeyFunction
  /** The key is the client's address. */
  readonly byIp: boolean
  readonly ipv6Prefix: number
  readonly cost: NonNullable<PolicyOptions['cost']>
  readonly perRoute: boolean
  readonly allow: AddressList | undefined
  readonly deny: AddressList | undefined
  readonly shadow: boolean
  readonly onOutage: NonNullable<PolicyOptions['onOutage']>
  /** How long its functions may take. */
  readonly deadlineMs: number
  readonly phase: 'onRequest' | 'preHandler'
  /** The phase was chosen by whoever wrote the policy. */
  readonly phaseGiven: boolean
  readonly store: LimitStore | undefined
  readonly counters: PolicyStats
  /** How its refusals are answered, where it says so. */
  readonly refusing: Refusing | undefined
  /** How requests are delayed before any is refused; never of a policy that refuses none. */
  readonly slowDown: SlowDown | undefined
}

/** What policies inherit from the instance. */
export interface PolicyDefaults {
  readonly headers: HeaderStyle
  /** The instance's store. */
  readonly store: LimitStore
  readonly labels: Labels
}

/** How many different rates a rate function may give before the oldest are worked out anew. */
const maxRates = 1_000

/**
 * Resolves a policy's options.
 *
 * @param name - its name in `limits`; `undefined` for one given in place
 * @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_RATE`
 */
export function resolvePolicy(name: string | undefined, input: PolicyInput, defaults: PolicyDefaults): Policy {
  const where = name === undefined ? 'limit' : `limits.${name}`
  const options: PolicyOptions = typeof input === 'string' ? { rate: input } : input
  checkPolicy(where, options)
  if (name !== undefined && options.name !== undefined && options.name !== name) {
    throw optionError(`${where}.name`, 'must be left out: the policy has its name already', options.name)
  }
  if (options.defaultRate !== undefined && typeof options.rate !== 'function') {
    throw optionError(`${where}.defaultRate`, 'must be left out where the rate is not a function', options.defaultRate)
  }
  const store = options.store ?? defaults.store
  const fixed = fixedRates(where, options, store)
  const called = name ?? options.name ?? (fixed ? rateText(fixed) : undefined)
  if (called === undefined) throw optionError(`${where}.name`, 'must be given where the rate is a function', undefined)

  const make = (rates: readonly Rate[]): readonly AnsweringQuota[] =>
    makeQuotas(called, where, rates, options, defaults)
  const known = new Map<string, readonly AnsweringQuota[]>()
  const quotasOf = (rate: unknown): readonly AnsweringQuota[] => {
    const text = typeof rate === 'number' || typeof rate === 'bigint' ? String(rate) : (rate as string)
    let quotas = known.get(text)
    if (!quotas) {
      // A plan of none, however it is written: `0/min` stands for what is counted, not for a mistake.
      quotas = make(parseRate(`${where}.rate`, /^\s*0(?![\d.])/.test(text) ? '0' : text, options.timeZone))
      if (known.size >= maxRates) known.delete(known.keys().next().value!)
      known.set(text, quotas)
    }
    return quotas
  }
  const key = options.key ?? by.ip
  const quotas = fixed ? make(fixed) : []
  const cost = options.cost ?? 1
  const slowDown = slowDownOf(where, options.slowDown)
  return Object.freeze({
    name: called,
    where,
    input,
    quotas,
    price: fixed && typeof cost === 'number' ? Object.freeze({ quotas, cost }) : undefined,
    rate: typeof options.rate === 'function' ? options.rate : undefined,
    defaultQuotas: options.defaultRate === undefined ? undefined : quotasOf(options.defaultRate),
    quotasOf,
    ban: silent(banQuota(called, where, options, store)),
    key,
    byIp: key === by.ip,
    ipv6Prefix: options.ipv6Prefix ?? 64,
    cost,
    countIf: options.countIf,
    skip: options.skip,
    perRoute: options.per === 'route',
    allow: listOf(options.allow),
    deny: listOf(options.deny),
    shadow: options.shadow ?? false,
    onOutage: options.onOutage ?? 'local',
    deadlineMs: deadlineMs(`${where}.deadline`, options.deadline ?? 1_000),
    phase: options.phase ?? (readsLate(key) ? 'preHandler' : 'onRequest'),
    phaseGiven: options.phase !== undefined,
    store: options.store,
    counters: newPolicyStats(),
    refusing: refusingOf(where, options),
    slowDown: options.shadow ? undefined : slowDown,
  })
}

/** Whoever is not shut out is told nothing of it, and whoever is by Retry-After. */
function silent(quota: Quota | undefined): AnsweringQuota | undefined {
  return (
    quota &&
    Object.freeze({
      ...quota,
      headers: false,
      policyMember: '',
      policyMemberAt: undefined,
      warnAt: undefined,
      limitMember: '',
    })
  )
}

function listOf(given: PolicyOptions['allow']): AddressList | undefined {
  return given && ('has' in given ? given : addressList(...given))
}

/** The rates, where they are known at start-up. */
function fixedRates(where: string, options: PolicyOptions, store: LimitStore): readonly Rate[] | undefined {
  const { rate } = options
  if (typeof rate === 'function') return undefined
  const rates =
    typeof rate === 'string' ? parseRate(`${where}.rate`, rate, options.timeZone) : store.rate && [store.rate]
  if (options.timeZone !== undefined && rates && !rates.some((one) => 'calendar' in one)) {
    throw optionError(`${where}.timeZone`, "must be left out without a rate 'N per calendar …'", options.timeZone)
  }
  if (rates) return rates
  throw optionError(`${where}.rate`, "must be a rate such as '100/min', or a function that gives one", rate)
}

function makeQuotas(
  policy: string,
  where: string,
  rates: readonly Rate[],
  options: PolicyOptions,
  defaults: PolicyDefaults,
): readonly AnsweringQuota[] {
  const store = options.store ?? defaults.store
  return Object.freeze(
    withBurst(where, rates, options.burst).map((rate, i) => {
      const name = defaults.labels.of(policy, i)
      const kind = options.algorithm ?? store.algorithm
      const algorithm = algorithmFor(where, rate, kind, permitTtlMs(`${where}.permitTtl`, options.permitTtl ?? 30_000))
      const refused = store.refuses?.(algorithm)
      if (refused !== undefined) throw optionError(`${where}.rate`, refused, rateText([rate]))
      const label = sfString(name)
      return Object.freeze({
        policy,
        name,
        // Its length in front: no two policies come to the same id, whatever they are called.
        id: `:${policy.length}:${policy}:${algorithm.kind === 'concurrent' ? 'c' : 'r'}${i}`,
        algorithm,
        shadow: options.shadow ?? false,
        onOutage: options.onOutage ?? 'local',
        share: options.share ?? 1,
        lease: options.lease ?? 0,
        headers: options.shadow ? false : (options.headers ?? defaults.headers),
        policyMember: 'calendar' in rate ? '' : label + policyParameters(rate),
        policyMemberAt: algorithm.calendar && memberOfPeriod(label, algorithm.limit, algorithm.calendar),
        warnAt: options.warnAt,
        limitMember: `${label};r=`,
      })
    }),
  )
}

function withBurst(where: string, rates: readonly Rate[], burst: number | undefined): readonly Rate[] {
  if (burst === undefined) return rates
  const [rate] = rates
  if (rate && 'calendar' in rate)
    throw optionError(`${where}.burst`, 'must be left out of a rate of the calendar', burst)
  if (rates.length !== 1 || !rate || 'concurrent' in rate || rate.burst !== undefined) {
    throw optionError(`${where}.burst`, 'must stand in the rate where that has several parts or a burst already', burst)
  }
  return [{ ...rate, burst }]
}

/** The parameters of a quota policy (draft-ietf-httpapi-ratelimit-headers-11 §3): `w` is whole seconds. */
function policyParameters(rate: Exclude<Rate, CalendarRate>): string {
  if ('concurrent' in rate) return `;q=${sf(rate.concurrent)};qu="concurrent-requests"`
  const window = rate.windowMs < 1_000 ? '' : `;w=${sf(Math.ceil(rate.windowMs / 1_000))}`
  return `;q=${sf(rate.quota)}${window}`
}

/** The member of a quota that is counted by the calendar: `w` is the length of the present period, written once in each. */
function memberOfPeriod(label: string, quota: number, calendar: Calendar): (ms: number) => string {
  let period: Period | undefined
  let member = ''
  return (ms) => {
    const present = calendar.at(ms)
    if (present !== period) {
      period = present
      member = `${label};q=${sf(quota)};w=${sf(Math.ceil((present.untilMs - present.fromMs) / 1_000))}`
    }
    return member
  }
}

/** Integers of structured fields have at most 15 digits (RFC 9651 §3.3.1). */
export function sf(value: number): string {
  return sfInteger(Math.min(value, 999_999_999_999_999))
}

/** A policy that was never configured. */
export function unknownPolicy(name: string, hint: string): SluiceError {
  return new SluiceError('ERR_SLUICE_POLICY', `There is no policy ${JSON.stringify(name)} in \`limits\`. ${hint}`)
}
