import {
  Breaker,
  type CacheRecord,
  type CacheStore,
  type Clock,
  decodeRecord,
  encodeRecord,
  everythingTag,
  expireRecord,
  type FillEnd,
  type InvalidateMode,
  type LeaseState,
  recordTags,
  type SetOutcome,
  SluiceError,
  type StoreOut,
  type StoreUsage,
  shiftRecord,
  type Vacancy,
  type Variant,
  type VariantSelector,
  type Wants,
} from '@sluice/core'
import { withDeadline } from '../deadline.ts'
import type { Call, Link } from '../link.ts'
import type { Script } from '../script.ts'
import { Debts, type Order } from './debts.ts'
import { type Lane, type Lanes, type Place, tagHash, tagHashes, variantId } from './lanes.ts'
import { type FillPosition, isFillPosition, Leases, tokenOf } from './leases.ts'
import type { Replication } from './replication.ts'
import * as scripts from './scripts.ts'
import { joinSpecs, parseSpec, SpecHints, specText } from './specs.ts'

export interface RedisCacheStoreOptions {
  readonly link: Link
  readonly clock: Clock
  readonly lanes: Lanes
  /** Larger frames are not stored. Bytes. */
  readonly maxEntryBytes: number
  readonly maxVariants: number
  /** How many invalidated tags a lane remembers before it forgets its entries. */
  readonly maxTags: number
  readonly leaseMs: number
  /** How long each kind of command may take. */
  readonly deadlines: Deadlines
  /** Where replicas can be waited for. */
  readonly replication?: Replication
  /** Whose time entries are measured by. `server` is the only one that processes share; tests bring a clock. */
  readonly time?: 'server' | 'clock'
}

export interface Deadlines {
  readonly readMs: number
  readonly writeMs: number
  readonly purgeMs: number
}

/** What a look-up found, with what another store needs to keep it too. */
export type Found =
  | { readonly kind: 'record'; readonly record: CacheRecord; readonly spec: string }
  | { readonly kind: 'vacancy'; readonly vacancy: Vacancy; readonly spec: string }

/** What a script answered: its kind, where the lane stands, the rest. */
interface Answer {
  readonly kind: string
  readonly epoch: string
  readonly n: number
  readonly rest: readonly unknown[]
}

const longestMs = 10 * 365 * 86_400_000

/** How often a script is asked again because something changed between two of its calls. */
const attempts = 4

/**
 * The cache store in Redis, shared by processes. A look-up, a store and an invalidation of a lane are one script each.
 *
 * Whatever cannot be known for certain is a vacancy: a lost clock, an older epoch, a damaged frame.
 */
export class RedisCacheStore implements CacheStore {
  readonly lanes: Lanes
  readonly #options: RedisCacheStoreOptions
  readonly #clock: Clock
  readonly #link: Link
  /** One for each lane of a Cluster, whose nodes fail one by one; else the same for all. */
  readonly #breakers: readonly Breaker[]
  readonly #hints = new SpecHints()
  readonly #leases: Leases
  readonly #debts: Debts
  /** What a look-up learnt beside a record that is stale. */
  readonly #renewals = new WeakMap<CacheRecord, Vacancy>()
  readonly #connected = (): void => {
    for (const breaker of this.#breakers) breaker.succeeded()
  }
  #closed = false

  constructor(options: RedisCacheStoreOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#link = options.link
    this.lanes = options.lanes
    const shared = new Breaker(options.clock)
    this.#breakers = this.lanes.all.map(() => (options.link.client.isCluster ? new Breaker(options.clock) : shared))
    // A connection that has just been made is worth a try, however long the outage was.
    options.link.client.on('ready', this.#connected)
    this.#debts = new Debts(options.clock, (lane, order) => this.#invalidateLane(lane, order))
    this.#leases = new Leases({
      clock: options.clock,
      leaseMs: options.leaseMs,
      send: (call) => this.#link.run(call).catch(() => undefined),
    })
  }

  async get(key: string, select: VariantSelector, wants?: Wants): Promise<CacheRecord | Vacancy | StoreOut> {
    const found = await this.find(key, select, wants)
    return found && (found.kind === 'record' ? found.record : found.vacancy)
  }

  /** `get`, and the spec it was found under. */
  async find(key: string, select: VariantSelector, wants?: Wants): Promise<Found | StoreOut> {
    const place = this.lanes.place(key)
    const { lane, id } = place
    let spec = this.#hints.get(id)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const variant = spec === '' ? '' : variantId(select(parseSpec(spec)))
      const token = wants?.lease ? this.#leases.token() : ''
      const now = this.#now()
      const answer = await this.#ask(
        lane,
        scripts.lookUp,
        [place.entry, lane.lease(id, ''), lane.lease(id, variant)],
        [spec, variant === '' ? '0' : variant, token, this.#leases.leaseMs],
        (late) => this.#giveBack(late, token, place, variant),
      )
      if (answer === undefined) return undefined
      if (answer.kind === 'S') {
        spec = text(answer.rest[0])
        this.#hints.note(id, spec)
        continue
      }
      return answer.kind === 'R'
        ? this.#record(answer, now, place, variant, token)
        : this.#vacant(answer, place, variant, token)
    }
    return undefined
  }

  /** The spec of a key, as far as this process knows. Right after a store or a look-up of it: as it is. */
  specOf(key: string): string {
    return this.#hints.get(this.lanes.place(key).id)
  }

  async position(key: string): Promise<Vacancy | StoreOut> {
    const { lane, entry } = this.lanes.place(key)
    const answer = await this.#ask(lane, scripts.position, [entry], [])
    return answer && vacancyAt(lane, answer, text(answer.rest[0]), 'key')
  }

  async set(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): Promise<SetOutcome> {
    const { position } = vacancy
    const { lane, id, entry } = this.lanes.place(key)
    if (!isFillPosition(position) || position.lane !== lane.index) return 'fenced'
    const now = this.#now()
    const endsMs = Math.min(Math.ceil(record.deleteAt - now), longestMs)
    if (this.#closed || this.#breakerOf(lane).open || !(endsMs > 0)) return this.#unstored(vacancy)
    const frame = encodeRecord(shiftRecord(record, -now))
    if (frame.byteLength > this.#options.maxEntryBytes) return this.#unstored(vacancy)
    const staleMs = Math.min(Math.max(Math.ceil(record.staleAt - now), 0), endsMs)
    const tags = tagHashes(recordTags(record))
    const token = position.token ?? ''
    const lease = this.#leases.keyOf(token) ?? lane.lease(id, '')
    let { spec } = position
    for (let attempt = 0; attempt < attempts; attempt++) {
      const joined = joinSpecs(parseSpec(spec), variant.spec)
      const next = specText(joined)
      const name = next === '' ? '0' : variantId(variant.select(joined))
      const answer = await this.#write(
        lane,
        vacancy,
        [entry, lease],
        [position.epoch, position.n, spec, next, name, tags, staleMs, endsMs, this.#options.maxVariants, token, frame],
      )
      if (answer.kind === 'F') {
        this.release(vacancy, 'given-up')
        return 'fenced'
      }
      if (answer.kind === 'K') {
        this.#hints.note(id, next)
        this.#leases.drop(token)
        return 'stored'
      }
      spec = text(answer.rest[0])
    }
    return this.#unstored(vacancy)
  }

  async follow(key: string, select: VariantSelector, waitMs: number): Promise<CacheRecord | Vacancy | StoreOut> {
    const found = await this.followed(key, select, waitMs)
    return found && (found.kind === 'record' ? found.record : found.vacancy)
  }

  /** `follow`, and the spec it was found under. */
  async followed(key: string, select: VariantSelector, waitMs: number): Promise<Found | StoreOut> {
    const until = this.#clock.now() + waitMs
    for (let pauseMs = 4; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
      const left = until - this.#clock.now()
      // Not all at once: those who wait began together.
      const chosen = Math.min(pauseMs * (0.75 + Math.random() / 2), Math.max(left, 0))
      await new Promise<void>((resolve) => this.#clock.after(chosen, resolve))
      const found = await this.find(key, select, { lease: true })
      const vacancy = found?.kind === 'record' ? this.renewal(found.record) : found?.vacancy
      if (vacancy?.lease !== 'held' || this.#clock.now() >= until || this.#closed) return found
    }
  }

  renewal(record: CacheRecord): Vacancy | undefined {
    return this.#renewals.get(record)
  }

  release(vacancy: Vacancy, ended: FillEnd): void {
    const token = tokenOf(vacancy)
    if (token !== undefined) void this.#leases.release(token, ended)
  }

  async delete(key: string): Promise<void> {
    const { entry } = this.lanes.place(key)
    const gone = this.#link.run({ script: scripts.remove, keys: [entry], args: [] })
    await withDeadline(this.#clock, this.#options.deadlines.writeMs, 'remove', gone)
  }

  /**
   * In every lane at once. Resolves when all of them have answered. Rejects when one has not: that one is asked again
   * until it answers, and this process believes nothing of it before.
   */
  async invalidate(tags: readonly string[], mode: InvalidateMode): Promise<void> {
    if (tags.length === 0) return
    if (this.#closed) throw new SluiceError('ERR_SLUICE_CLOSED', 'Nothing can be invalidated after close().')
    const order: Order = { tags, mode }
    const outcomes = await Promise.allSettled(this.lanes.all.map((lane) => this.#debts.pay(lane, order)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  async replicated(replicas: number): Promise<number> {
    return (await this.#options.replication?.confirm(replicas)) ?? 0
  }

  async #invalidateLane(lane: Lane, { tags, mode }: Order): Promise<void> {
    const kind = mode === 'purge' && tags.includes(everythingTag) ? 'forget' : mode
    const hashes = kind === 'forget' ? [] : tags.map(tagHash)
    const told = JSON.stringify([mode, tags])
    const rest = [kind, this.#options.maxTags, this.lanes.channel, lane.index, told, ...hashes]
    const done = this.#run(lane, scripts.invalidate, [], rest)
    await withDeadline(this.#clock, this.#options.deadlines.purgeMs, 'invalidate', done)
  }

  /** Where a lane stands now. */
  async clockOf(lane: Lane): Promise<{ epoch: string; n: number }> {
    const asked = this.#run(lane, scripts.readClock, [], [])
    const answer = await withDeadline(this.#clock, this.#options.deadlines.purgeMs, 'tell its position', asked)
    this.#breakerOf(lane).succeeded()
    return answer
  }

  /** Nothing: how much is in Redis is only known to Redis. */
  usage(): StoreUsage {
    return { entries: 0, bytes: 0, evictions: 0 }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#link.client.off('ready', this.#connected)
    this.#debts.close()
    const { readMs } = this.#options.deadlines
    await withDeadline(this.#clock, readMs, 'give leases back', this.#leases.close()).catch(() => undefined)
  }

  #record(answer: Answer, now: number, place: Place, variant: string, token: string): Found {
    const [age, expiredAge, spec, frame, lease] = answer.rest
    const vacancy = this.#vacancy(answer, place, variant, token, text(spec), text(lease))
    const stored = frame instanceof Buffer ? decodeRecord(frame) : undefined
    if (!stored) return { kind: 'vacancy', vacancy, spec: text(spec) }
    // The age is of a moment after `now`, so a slow reply makes the record older, never younger.
    const shifted = shiftRecord(stored, now - Number(age))
    const record = Number(expiredAge) < 0 ? shifted : expireRecord(shifted, now - Number(expiredAge))
    if (now >= record.deleteAt) return { kind: 'vacancy', vacancy, spec: text(spec) }
    if (vacancy.lease !== undefined) this.#renewals.set(record, vacancy)
    return { kind: 'record', record, spec: text(spec) }
  }

  #vacant(answer: Answer, place: Place, variant: string, token: string): Found {
    const [reason, lease, spec] = answer.rest.map(text)
    const vacancy = this.#vacancy(answer, place, variant, token, spec!, lease!)
    return { kind: 'vacancy', vacancy: { ...vacancy, reason: reason as Vacancy['reason'] }, spec: spec! }
  }

  /** What a fill of this place presents; with the lease, where the script has given it. */
  #vacancy(answer: Answer, { lane, id }: Place, variant: string, token: string, spec: string, lease: string): Vacancy {
    this.#hints.note(id, spec)
    const taken = lease === 'taken'
    if (taken) this.#leases.hold(token, lane.lease(id, spec === '' ? '' : variant))
    const vacancy = vacancyAt(lane, answer, spec, spec === '' ? 'key' : 'vary', taken ? token : undefined)
    return lease === '' ? vacancy : { ...vacancy, lease: lease as LeaseState }
  }

  /** A lease that came too late: whoever asked for it is at the handler already, or gone. */
  #giveBack(late: Answer, token: string, { lane, id }: Place, variant: string): void {
    const [spec, lease] = late.kind === 'R' ? [late.rest[2], late.rest[4]] : [late.rest[2], late.rest[1]]
    if (text(lease) !== 'taken') return
    this.#leases.hold(token, lane.lease(id, text(spec) === '' ? '' : variant))
    void this.#leases.release(token, 'given-up')
  }

  #unstored(vacancy: Vacancy): SetOutcome {
    this.release(vacancy, 'given-up')
    return 'refused'
  }

  /** A question of a request's: answered within its deadline, or not asked at all while Redis is known to be out. */
  async #ask(
    lane: Lane,
    script: Script,
    keys: readonly string[],
    args: Call['args'],
    late?: (answer: Answer) => void,
  ): Promise<Answer | StoreOut> {
    const breaker = this.#breakerOf(lane)
    if (this.#closed || this.#debts.of(lane) || !breaker.admits()) return undefined
    const { readMs } = this.#options.deadlines
    try {
      const answer = await withDeadline(this.#clock, readMs, 'answer', this.#run(lane, script, keys, args), late)
      breaker.succeeded()
      return answer
    } catch (error) {
      breaker.failed()
      throw error
    }
  }

  /** Something to keep. Too slow or refused for want of memory says little about reads, so the breaker is not told. */
  async #write(lane: Lane, vacancy: Vacancy, keys: readonly string[], args: Call['args']): Promise<Answer> {
    const { writeMs } = this.#options.deadlines
    try {
      return await withDeadline(this.#clock, writeMs, 'store', this.#run(lane, scripts.store, keys, args))
    } catch (error) {
      this.release(vacancy, 'given-up')
      throw error
    }
  }

  /** Runs a script on a lane, and once more where the lane turns out to have lost its memory. */
  async #run(lane: Lane, script: Script, keys: readonly string[], args: Call['args']): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const before = lane.seen
      const head = lane.head(this.#options.time === 'clock' ? String(this.#now()) : '')
      const reply = await this.#link.run({ script, keys: [lane.clock, ...keys], args: [...head, ...args] })
      const [kind, epoch, n, ...rest] = reply as unknown[]
      const answer: Answer = { kind: text(kind), epoch: text(epoch), n: Number(n), rest }
      if (lane.note(answer, before) || attempt === attempts) return answer
      lane.bury(answer.epoch)
    }
  }

  #breakerOf(lane: Lane): Breaker {
    return this.#breakers[lane.index]!
  }

  #now(): number {
    return this.#options.time === 'clock' ? Math.floor(this.#clock.now()) : this.#clock.now()
  }
}

function vacancyAt(
  lane: Lane,
  { epoch, n }: Answer,
  spec: string,
  reason: Vacancy['reason'],
  token?: string | undefined,
): Vacancy {
  const position: FillPosition = { lane: lane.index, epoch, n, spec, token }
  return { kind: 'vacancy', reason, position }
}

function text(value: unknown): string {
  return String(value)
}
