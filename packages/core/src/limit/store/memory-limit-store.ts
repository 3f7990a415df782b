import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { checkOptions, rule } from '../../base/options.ts'
import { type GivenBack, type Verdict, verdictOf } from '../algorithms/algorithm.ts'
import type { AnyAlgorithm, LimitState } from '../algorithms/algorithm-for.ts'
import { alike, carried } from '../algorithms/carry.ts'
import type { ConcurrentAlgorithm, PermitState } from '../algorithms/concurrent.ts'
import { missingAfter } from '../algorithms/token-bucket.ts'
import type { BanState, ByHand } from '../bans/ban.ts'
import { algorithmOf, banVerdict, heldBans, type Together, tellBans } from '../bans/in-memory.ts'
import { asksBan } from '../bans/refusals.ts'
import { type HeapEntry, IdleHeap } from './idle-heap.ts'
import { Reserve } from './reserve.ts'
import {
  type Charge,
  type HeldBan,
  type LimitStore,
  type LimitStoreUsage,
  type Quota,
  type Settlement,
  subjectLength,
} from './store.ts'

export interface MemoryLimitStoreOptions {
  /**
   * How many keys are held at most; a key takes 200 to 500 bytes. Default 100,000, and an eighth more for newcomers while
   * none of them may leave: see {@link MemoryLimitStore}.
   */
  readonly maxKeys?: number | undefined
}

/** One key's state. Its `index` is below 0 in the reserve; its key is `''` for overflow buckets. */
interface Entry extends HeapEntry {
  readonly key: string
  quota: Quota
  state: LimitState
  /** Part of a decision that is being made: it must not leave between being asked and being charged. */
  pinned: boolean
}

/** Maps are many and small: one that grows moves all its keys at once, and nobody should wait for a million of them. */
const shards = 64

/** How many keys that may be idle are looked at for each new one: more than come, so they leave sooner than they gather. */
const idlePerInsert = 4

/** The part of the keys there is room for besides, when all of them are in use. */
const reservePart = 8

/** How many keys in use are compared where one of them must leave. */
const sample = 8

/**
 * Counts in this process's memory, bounded by the number of keys. Every answer is a value, never a promise.
 *
 * Nothing is timed and nothing is scanned: with each new key a few of those leave whose quota is full again. When the
 * store is full of keys in use, a few of them are compared and the one leaves that has most of its quota left, if that is
 * at least half: so a flood of new keys buys an attacker at most half a quota, and a key that is blocked or banned never leaves.
 * Where none may leave, newcomers have a {@link Reserve} for themselves. When that is full of such keys too, the store is
 * saturated: keys it does not know share one overflow bucket per quota until there is room.
 */
export class MemoryLimitStore implements LimitStore {
  readonly kind = 'local'
  readonly #clock: Clock
  readonly #maxKeys: number
  readonly #maps: readonly Map<string, Entry>[] = Array.from({ length: shards }, () => new Map<string, Entry>())
  readonly #entries = new IdleHeap<Entry>()
  readonly #reserve: Reserve<Entry>
  readonly #overflow = new Map<string, Entry>()
  #hand = 0
  #evictions = 0
  #overflowed = 0

  constructor(clock: Clock, options: MemoryLimitStoreOptions = {}) {
    checkOptions<MemoryLimitStoreOptions>('limits', options, { maxKeys: rule.positiveInteger })
    this.#clock = clock
    this.#maxKeys = options.maxKeys ?? 100_000
    this.#reserve = new Reserve(Math.ceil(this.#maxKeys / reservePart))
  }

  consume(charges: readonly Charge[]): readonly Verdict[] {
    if (charges.length === 1) return [this.consumeOne(charges[0]!)]
    return this.#together(charges, Math.floor(this.#clock.now()))
  }

  /** The common case, without the lists. */
  consumeOne(charge: Charge): Verdict {
    const now = Math.floor(this.#clock.now())
    const { algorithm } = charge.quota
    if (charge.cost > algorithm.limit || charge.cost === 0) {
      return asksBan(charge) ? this.#together([charge], now)[0]! : this.#look(charge, now)
    }
    const entry = this.#entryFor(charge, now)
    const state = this.#stateIn(entry, charge.quota, now)
    const waitMs = algorithm.waitMs(state, charge.cost, now)
    if (waitMs === 0) this.#charge(entry, state, charge, now)
    return verdictOf(algorithm, state, waitMs, now, viaOf(entry))
  }

  #together(charges: readonly Charge[], now: number): readonly Verdict[] {
    const entries: (Entry | undefined)[] = []
    const states: LimitState[] = []
    const waits: number[] = []
    const verdicts: Verdict[] = []
    let all = true
    let bans = false
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const { quota, cost } = charge
      if (cost === 0 && asksBan(charge)) bans = true
      const possible = cost <= quota.algorithm.limit
      const entry = possible && cost > 0 ? this.#entryFor(charge, now) : this.#find(charge.key)
      const state = entry ? this.#stateIn(entry, quota, now) : quota.algorithm.fresh()
      const waitMs = quota.algorithm.waitMs(state, cost, now)
      if (waitMs !== 0 && !quota.shadow) all = false
      if (entry) entry.pinned = true
      entries.push(entry)
      states.push(state)
      waits.push(waitMs)
    }
    const before = bans ? this.#tellBans(charges, { entries, states, waits }, now) : waits
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const entry = entries[i]
      if (entry) {
        entry.pinned = false
        if (all && waits[i] === 0 && charge.cost > 0) this.#charge(entry, states[i]!, charge, now)
      }
      const verdict = verdictOf(charge.quota.algorithm, states[i]!, waits[i]!, now, entry ? viaOf(entry) : 'store')
      verdicts.push(bans && asksBan(charge) ? banVerdict(verdict, states[i]!, before[i] === 0) : verdict)
    }
    return verdicts
  }

  #tellBans(charges: readonly Charge[], found: Pick<Together, 'entries' | 'states' | 'waits'>, now: number) {
    const shared = (entry: { key: string }): boolean => entry.key === ''
    return tellBans({ charges, ...found, shared, placeFor: (charge) => this.#placeFor(charge, now) }, now)
  }

  /** What was used of a key, as this quota counts it. */
  #stateIn(entry: Entry, quota: Quota, now: number): LimitState {
    return entry.quota === quota
      ? entry.state
      : carried(entry.state, entry.quota.algorithm, { to: quota.algorithm, nowMs: now })
  }

  /** From here on the key is counted as this charge's quota says. */
  #charge(entry: Entry, state: LimitState, { quota, cost, permit }: Charge, now: number): void {
    entry.quota = quota
    entry.state = state
    quota.algorithm.charge(state, cost, now, permit)
  }

  peek(charges: readonly Charge[]): readonly Verdict[] {
    const now = Math.floor(this.#clock.now())
    return charges.map((charge) => this.#look(charge, now))
  }

  #look({ quota, key, cost }: Charge, now: number): Verdict {
    const { algorithm } = quota
    const entry = this.#find(key)
    const state = entry ? this.#stateIn(entry, quota, now) : algorithm.fresh()
    const verdict = verdictOf(algorithm, state, algorithm.waitMs(state, cost, now), now)
    return algorithm.kind === 'ban' ? banVerdict(verdict, state, false) : verdict
  }

  settle(settlements: readonly Settlement[]): void {
    const now = Math.floor(this.#clock.now())
    for (const { charge, verdict, refund } of settlements) {
      const { quota, key, permit } = charge
      const units = Math.min(refund, charge.cost)
      if (!verdict.allowed || (units === 0 && permit === '')) continue
      const entry = verdict.via === 'overflow' ? this.#overflow.get(overflowName(quota)) : this.#find(key)
      if (entry)
        this.#algorithmOf(entry, quota, now).refund(entry.state, backOf({ charge, verdict, refund: units }), now)
    }
  }

  /** What counts in a key: the quota's own algorithm, or what the rate was changed to since. */
  #algorithmOf(entry: Entry, quota: Quota, now: number): AnyAlgorithm {
    if (entry.quota !== quota && !alike(entry.quota.algorithm, quota.algorithm)) {
      entry.state = this.#stateIn(entry, quota, now)
      entry.quota = quota
    }
    return entry.quota.algorithm
  }

  refund(charges: readonly Charge[]): void {
    const now = Math.floor(this.#clock.now())
    for (const { quota, key, cost, permit } of charges) {
      const entry = this.#find(key)
      if (entry) this.#algorithmOf(entry, quota, now).refund(entry.state, { cost, permit }, now)
    }
  }

  renew(charges: readonly Charge[], alive = false): void {
    const now = Math.floor(this.#clock.now())
    for (const { quota, key, permit } of charges) {
      const algorithm = quota.algorithm as unknown as ConcurrentAlgorithm
      const renew = alive ? algorithm.revive : algorithm.renew
      for (const entry of [this.#find(key), this.#overflow.get(overflowName(quota))]) {
        if (entry && renew(entry.state as PermitState, permit, now)) break
      }
    }
  }

  reset(charges: readonly Charge[]): void {
    for (const { key } of charges) {
      const entry = this.#find(key)
      if (entry) this.#remove(entry)
    }
  }

  resetAll(policy: string, subject = ''): number {
    const now = Math.floor(this.#clock.now())
    const subjects = new Set<string>()
    for (const entries of [...this.#maps, this.#reserve]) {
      for (const entry of entries.values()) {
        const { key, quota, state } = entry
        if (quota.policy !== policy || !key.startsWith(subject) || quota.algorithm.kind === 'ban') continue
        if (quota.algorithm.fullMs(state, now) > 0) subjects.add(key.slice(0, subjectLength))
        this.#remove(entry)
      }
    }
    if (subject !== '') return subjects.size
    for (const [name, { quota }] of this.#overflow) if (quota.policy === policy) this.#overflow.delete(name)
    return subjects.size
  }

  ban(charge: Charge, by: ByHand): number {
    const now = Math.floor(this.#clock.now())
    const entry = this.#placeFor(charge, now)
    if (!entry) throw new SluiceError('ERR_SLUICE_STORE', 'There is no room for a ban: all keys in memory are in use.')
    const state = this.#stateIn(entry, charge.quota, now) as BanState
    algorithmOf(charge).shut(state, by, now)
    entry.quota = charge.quota
    entry.state = state
    return state.times
  }

  unban({ key }: Charge): boolean {
    const entry = this.#find(key)
    if (!entry) return false
    const now = Math.floor(this.#clock.now())
    this.#remove(entry)
    return entry.quota.algorithm.waitMs(entry.state, 0, now) > 0
  }

  bans(policies: readonly string[]): readonly HeldBan[] {
    const now = Math.floor(this.#clock.now())
    return [...this.#maps, this.#reserve].flatMap((entries) => heldBans(entries.values(), policies, now))
  }

  usage(): LimitStoreUsage {
    const { size } = this.#entries
    return { entries: size, maxEntries: this.#maxKeys, evictions: this.#evictions, overflowed: this.#overflowed }
  }

  close(): void {
    for (const map of this.#maps) map.clear()
    this.#entries.clear()
    this.#reserve.clear()
    this.#overflow.clear()
  }

  #map(key: string): Map<string, Entry> {
    return this.#maps[key.charCodeAt(0) % shards]!
  }

  #find(key: string): Entry | undefined {
    return this.#map(key).get(key) ?? this.#reserve.find(key)
  }

  #entryFor(charge: Charge, now: number): Entry {
    return this.#placeFor(charge, now) ?? this.#overflowEntry(charge.quota)
  }

  /** The key's entry, which may be new; `undefined` where there is no room for one. */
  #placeFor({ key, quota }: Charge, now: number): Entry | undefined {
    const known = this.#find(key)
    if (known) {
      if (known.index < 0) this.#reserve.touch(known)
      return known
    }
    const room = this.#makeRoom(now)
    if (!room && !this.#reserve.makeRoom(now)) return undefined
    const entry: Entry = { key, quota, state: quota.algorithm.fresh(), index: -1, idleAtMs: now, pinned: false }
    if (room) {
      this.#entries.add(entry)
      this.#map(key).set(key, entry)
    } else {
      this.#reserve.touch(entry)
    }
    return entry
  }

  /** One bucket for all the keys there is no room for. There are as many as quotas, so they need no bound of their own. */
  #overflowEntry(quota: Quota): Entry {
    this.#overflowed++
    let entry = this.#overflow.get(overflowName(quota))
    if (!entry) {
      if (this.#overflow.size >= this.#maxKeys) this.#overflow.clear()
      entry = { key: '', quota, state: quota.algorithm.fresh(), index: -1, idleAtMs: 0, pinned: false }
      this.#overflow.set(overflowName(quota), entry)
    }
    return entry
  }

  /** Lets idle keys go, and makes room for one more; whether there is. */
  #makeRoom(now: number): boolean {
    for (let i = 0; i < idlePerInsert; i++) {
      const entry = this.#entries.top
      if (!entry || entry.idleAtMs > now) break
      // Charged since it was last looked at, or about to be: it stays, and sinks to where it belongs.
      const idleInMs = entry.quota.algorithm.fullMs(entry.state, now)
      if (entry.pinned || idleInMs > 0) this.#entries.move(entry, now + Math.max(1, idleInMs))
      else this.#remove(entry)
    }
    if (this.#entries.size < this.#maxKeys) return true
    const spare = this.#spare(now)
    if (!spare) return false
    this.#remove(spare)
    this.#evictions++
    return true
  }

  /** The next few in turn: the one with most left, if that is half or more. */
  #spare(now: number): Entry | undefined {
    let spare: Entry | undefined
    let most = 0.5
    for (let i = 0; i < sample; i++) {
      this.#hand = (this.#hand + 1) % this.#entries.size
      const entry = this.#entries.at(this.#hand)
      const { algorithm } = entry.quota
      const left = algorithm.remaining(entry.state, now) / algorithm.limit
      // A permit that is out must be known when it comes back.
      if (entry.pinned || left < most || (algorithm.kind === 'concurrent' && left < 1)) continue
      spare = entry
      most = left
    }
    return spare
  }

  #remove(entry: Entry): void {
    if (entry.index < 0) {
      this.#reserve.remove(entry)
      return
    }
    this.#map(entry.key).delete(entry.key)
    this.#entries.remove(entry)
  }
}

function backOf({ charge: { quota, permit }, verdict, refund }: Settlement): GivenBack {
  const { kind, params } = quota.algorithm
  const missing = kind === 'token-bucket' ? missingAfter(verdict, params) : undefined
  return { cost: refund, atMs: verdict.atMs, missing, permit }
}

function viaOf({ key }: Entry): Verdict['via'] {
  return key === '' ? 'overflow' : 'store'
}

/** Rates that share a key do not share the bucket of those there is no room for. */
function overflowName({ id, algorithm }: Quota): string {
  return `${id}:${algorithm.signature}`
}
