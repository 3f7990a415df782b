import { randomBytes } from 'node:crypto'
import {
  Breaker,
  type CacheRecord,
  type CacheStore,
  type Clock,
  everythingTag,
  type FillEnd,
  type InvalidateMode,
  type InventoryItem,
  type InventoryQuery,
  recordTags,
  type SetOutcome,
  SluiceError,
  type StoredForm,
  type StoreOut,
  type StoreUsage,
  shiftRecord,
  type Vacancy,
  type Variant,
  type VariantSelector,
  type Wants,
} from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { Call, Link } from '../../connection/link.ts'
import { isFillPosition, Leases, tokenOf, vacancyAt } from '../fill/leases.ts'
import { frameWithin, SharedForms } from '../forms/forms.ts'
import { Confirmations, type Told } from '../invalidation/confirmations.ts'
import { Debts, type Order } from '../invalidation/pending-invalidations.ts'
import { invalidate } from '../invalidation/scripts.ts'
import { type Found, LookUps } from '../lookup/look-ups.ts'
import { joinSpecs, parseSpec, SpecHints, specText } from '../lookup/specs.ts'
import { Stamps } from '../lookup/stamps.ts'
import { inventoryOf } from './inventory.ts'
import { type Answer, attempts, LaneScripts } from './lane-scripts.ts'
import { type Lane, type Lanes, tagHash, tagHashes } from './lanes.ts'
import type { Replication } from './replication.ts'
import * as scripts from './scripts.ts'

export interface RedisCacheStoreOptions {
  readonly link: Link
  readonly clock: Clock
  readonly lanes: Lanes
  /** Larger frames are not stored. Bytes. */
  readonly maxEntryBytes: number
  /** Responses with more tags are not stored. Default: all are. */
  readonly maxEntryTags?: number
  /** Told of responses that are not stored for what they are. */
  readonly report?: (error: SluiceError) => void
  readonly maxVariants: number
  /** How many invalidated tags a lane remembers before it forgets its entries. */
  readonly maxTags: number
  readonly leaseMs: number
  /** How long each kind of command may take. */
  readonly deadlines: Deadlines
  /** Where replicas can be waited for. */
  readonly replication?: Replication
  /**
   * How long a process that answers from memory may do so without asking. Default 0: nobody does that this one could not
   * know of. Milliseconds.
   */
  readonly memoryLeaseMs?: number
  /** Whose time entries are measured by. `server` is the only one that processes share; tests bring a clock. */
  readonly time?: 'server' | 'clock'
}

export interface Deadlines {
  readonly readMs: number
  readonly writeMs: number
  readonly purgeMs: number
}

const longestMs = 10 * 365 * 86_400_000

/** How many tags are invalidated by one call. */
const tagsPerCall = 250

/**
 * The cache store in Redis, shared by processes. A look-up, a store and an invalidation of a lane are one round trip each.
 *
 * Whatever cannot be known for certain is a vacancy: a lost clock, an older epoch, a damaged frame.
 */
export class RedisCacheStore implements CacheStore {
  readonly lanes: Lanes
  /** What this process is called among those that answer from memory. */
  readonly member = randomBytes(9).toString('base64url')
  readonly scripts: LaneScripts
  readonly #options: RedisCacheStoreOptions
  readonly #clock: Clock
  readonly #confirmations: Confirmations
  readonly #lookUps: LookUps
  /** One for each lane of a Cluster, whose nodes fail one by one; else the same for all. */
  readonly #breakers: readonly Breaker[]
  readonly #hints = new SpecHints()
  readonly #stamps = new Stamps()
  readonly #leases: Leases
  readonly #forms: SharedForms
  readonly #debts: Debts
  readonly #connected = (): void => {
    for (const breaker of this.#breakers) breaker.succeeded()
  }
  readonly #overTagged = new Set<string>()
  #closed = false

  constructor(options: RedisCacheStoreOptions) {
    this.#options = options
    this.#clock = options.clock
    this.scripts = new LaneScripts({ time: 'server', ...options })
    const { memoryLeaseMs: leaseMs = 0 } = options
    this.#confirmations = new Confirmations({ scripts: this.scripts, member: this.member, leaseMs })
    this.lanes = options.lanes
    const breaker = (lane: Lane): Breaker =>
      new Breaker(options.clock, () => options.link.probe([this.scripts.run(lane, scripts.readClock, [], [])]))
    const shared = breaker(this.lanes.all[0]!)
    this.#breakers = this.lanes.all.map((lane) => (options.link.client.isCluster ? breaker(lane) : shared))
    // A connection that has just been made is worth a try, however long the outage was.
    options.link.client.on('ready', this.#connected)
    this.#debts = new Debts(options.clock, (lane, order, patient) => this.#invalidateLane(lane, order, patient))
    this.#leases = new Leases({
      clock: options.clock,
      leaseMs: options.leaseMs,
      send: (call) => options.link.run(call).catch(() => undefined),
    })
    this.#lookUps = new LookUps({
      scripts: this.scripts,
      lanes: this.lanes,
      clock: options.clock,
      deadlineMs: options.deadlines.readMs,
      hints: this.#hints,
      leases: this.#leases,
      breakerOf: (lane) => this.#breakerOf(lane),
      reaches: (lane) => this.#reaches(lane),
      damaged: (frame) => this.#damaged(frame),
    })
    this.#forms = new SharedForms({
      scripts: this.scripts,
      lanes: this.lanes,
      clock: options.clock,
      stamps: this.#stamps,
      deadlineMs: options.deadlines.writeMs,
      maxEntryBytes: options.maxEntryBytes,
      find: (key, select) => this.find(key, select),
    })
  }

  get(key: string, select: VariantSelector, wants?: Wants): Promise<CacheRecord | Vacancy | StoreOut> {
    return this.#lookUps.find(key, select, wants?.lease === true, plain)
  }

  /** `get`, and the spec it was found under. */
  find(key: string, select: VariantSelector, wants?: Wants): Promise<Found | StoreOut> {
    return this.#lookUps.find(key, select, wants?.lease === true, (found) => found)
  }

  /** The spec of a key, as far as this process knows. Right after a store or a look-up of it: as it is. */
  specOf(key: string): string {
    return this.#hints.get(this.lanes.place(key).id)
  }

  async position(key: string): Promise<Vacancy | StoreOut> {
    const { lane, entry } = this.lanes.place(key)
    if (!this.#reaches(lane)) return undefined
    const breaker = this.#breakerOf(lane)
    try {
      const asked = this.scripts.run(lane, scripts.position, [entry], [])
      const answer = await withDeadline(this.#clock, this.#options.deadlines.readMs, 'answer', asked)
      breaker.succeeded()
      return vacancyAt(lane, answer, String(answer.values[2]), { lease: undefined, token: undefined })
    } catch (error) {
      breaker.failed()
      throw error
    }
  }

  async set(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): Promise<SetOutcome> {
    const { position } = vacancy
    const place = this.lanes.place(key)
    const { lane, id } = place
    if (!isFillPosition(position) || position.lane !== lane.index) return 'fenced'
    if (record.tags.length > (this.#options.maxEntryTags ?? Number.POSITIVE_INFINITY)) {
      this.#tooManyTags(record)
      this.release(vacancy, 'unshared')
      return 'refused'
    }
    const now = this.scripts.now()
    const endsMs = Math.min(Math.ceil(record.deleteAt - now), longestMs)
    if (this.#closed || this.#breakerOf(lane).open || !(endsMs > 0)) return this.#unstored(vacancy)
    const frame = frameWithin(this.#options.maxEntryBytes, shiftRecord(record, -now))
    if (frame === undefined) return this.#unstored(vacancy)
    this.#stamps.stamp(frame)
    const staleMs = Math.min(Math.max(Math.ceil(record.staleAt - now), 0), endsMs)
    const tags = tagHashes(recordTags(record))
    const token = position.token ?? ''
    const most = variant.most ?? this.#options.maxVariants
    let { spec } = position
    for (let attempt = 0; attempt < attempts; attempt++) {
      const joined = joinSpecs(parseSpec(spec), variant.spec)
      const next = specText(joined)
      const at = next === '' ? place.own : this.lanes.variant(place, variant.select(joined))
      const args = [position.epoch, position.n, spec, next, at.name, tags, staleMs, endsMs, most, token]
      const answer = await this.#write(
        lane,
        vacancy,
        [place.entry, at.frame, this.#leases.keyOf(token) ?? at.lease],
        [...args, frame],
      )
      const outcome = String(answer.values[2])
      if (outcome === 'F') {
        this.release(vacancy, 'given-up')
        return 'fenced'
      }
      if (outcome === 'M') {
        this.release(vacancy, 'unshared')
        return 'full'
      }
      if (outcome === 'K') {
        this.#hints.note(id, next)
        this.#leases.drop(token)
        return 'stored'
      }
      spec = String(answer.values[3])
    }
    return this.#unstored(vacancy)
  }

  async addForm(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): Promise<boolean> {
    // After an outage the one that tries whether Redis is back should be a request that has use for the answer.
    if (this.#closed || this.#breakerOf(this.lanes.place(key).lane).open) return false
    return this.#forms.add(key, select, of, form)
  }

  async follow(key: string, select: VariantSelector, waitMs: number): Promise<CacheRecord | Vacancy | StoreOut> {
    return plain(await this.followed(key, select, waitMs))
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
    return this.#lookUps.renewal(record)
  }

  release(vacancy: Vacancy, ended: FillEnd): void {
    const token = tokenOf(vacancy)
    if (token !== undefined) void this.#leases.release(token, ended)
  }

  async delete(key: string): Promise<void> {
    const { entry } = this.lanes.place(key)
    const { link, deadlines } = this.#options
    const gone = link.run({ script: scripts.remove, keys: [entry], args: [], waitMs: deadlines.writeMs })
    await withDeadline(this.#clock, deadlines.writeMs, 'remove', gone)
  }

  /**
   * In every lane at once. Resolves when all of them have answered, and every process that answers from memory has heard of
   * it or must not any more. Rejects when that is not so in time: it is tried again until it is, and this process believes
   * nothing of the lane before.
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

  async #invalidateLane(lane: Lane, order: Order, patient: boolean): Promise<void> {
    const inTime = <T>(answer: Promise<T>): Promise<T> =>
      withDeadline(this.#clock, this.#options.deadlines.purgeMs, 'invalidate everywhere', answer)
    const pieces = piecesOf(order)
    // One after the other, so that others have their turn in between. Each has the deadline of a purge.
    for (const piece of pieces.slice(0, -1)) await inTime(this.#invalidatePiece(lane, piece))
    // Who has heard of the last has heard of those before.
    const last = this.#invalidatePiece(lane, pieces.at(-1)!)
    const confirmed = (told: Told): Promise<void> => this.#confirmations.of(lane, told)
    await (patient ? inTime(last).then(confirmed) : inTime(last.then(confirmed)))
  }

  async #invalidatePiece(lane: Lane, { tags, mode }: Order): Promise<Told> {
    const kind = mode === 'purge' && tags.includes(everythingTag) ? 'forget' : mode
    const hashes = kind === 'forget' ? [] : tags.map(tagHash)
    const { maxTags, deadlines } = this.#options
    const rest = [kind, maxTags, this.lanes.channel, lane.index, this.member, JSON.stringify([mode, tags]), ...hashes]
    const { epoch, n, values } = await this.scripts.run(lane, invalidate, [], rest, deadlines.purgeMs)
    return { epoch, n, members: values[2] as Buffer, knownMs: Number(values[3]) }
  }

  /** What is under the key: Redis cannot be looked through without holding everybody up. */
  async inventory({ key, most }: InventoryQuery): Promise<readonly InventoryItem[]> {
    return key === undefined ? [] : inventoryOf(this.scripts, key, this.lanes.place(key), most)
  }

  /** Nothing: how much is in Redis is only known to Redis. */
  usage(): StoreUsage {
    const breakersOpen = [...new Set(this.#breakers)].filter((breaker) => breaker.open).length
    return { entries: 0, bytes: 0, evictions: 0, breakersOpen }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#options.link.client.off('ready', this.#connected)
    this.#debts.close()
    this.#confirmations.close()
    for (const breaker of this.#breakers) breaker.close()
    const { readMs } = this.#options.deadlines
    await withDeadline(this.#clock, readMs, 'give leases back', this.#leases.close()).catch(() => undefined)
  }

  /** Once for each route. */
  #tooManyTags({ target, tags }: CacheRecord): void {
    const route = target.route ?? target.path
    if (this.#overTagged.has(route) || this.#overTagged.size > 1_000) return
    this.#overTagged.add(route)
    this.#options.report?.(
      new SluiceError(
        'ERR_SLUICE_STORE',
        `A response of ${JSON.stringify(route.replace('\0', ' '))} has ${tags.length} tags and is not stored: \`redis.maxEntryTags\` is ${this.#options.maxEntryTags}. Tag it with what stands for many (a list and not each of its items), or raise that.`,
      ),
    )
  }

  #damaged(frame: Buffer): void {
    this.#options.report?.(
      new SluiceError(
        'ERR_SLUICE_STORE',
        `A stored response of ${frame.length} bytes cannot be what was stored: it is taken for none. Does something else write to these keys?`,
      ),
    )
  }

  #unstored(vacancy: Vacancy): SetOutcome {
    this.release(vacancy, 'given-up')
    return 'refused'
  }

  /** Whether a request may ask this lane: not while Redis is known to be out, nor while it owes it an invalidation. */
  #reaches(lane: Lane): boolean {
    return !this.#closed && !this.#debts.of(lane) && this.#breakerOf(lane).admits()
  }

  /** Something to keep. Too slow or refused for want of memory says little about reads, so the breaker is not told. */
  async #write(lane: Lane, vacancy: Vacancy, keys: readonly string[], args: Call['args']): Promise<Answer> {
    const { writeMs } = this.#options.deadlines
    try {
      const done = this.scripts.run(lane, scripts.store, keys, args, writeMs)
      return await withDeadline(this.#clock, writeMs, 'store', done)
    } catch (error) {
      this.release(vacancy, 'given-up')
      throw error
    }
  }

  #breakerOf(lane: Lane): Breaker {
    return this.#breakers[lane.index]!
  }
}

/** In parts that Redis does in a fraction of a millisecond each: it does nothing else meanwhile. */
function piecesOf({ tags, mode }: Order): readonly Order[] {
  if (tags.includes(everythingTag)) return [{ tags: [everythingTag], mode }]
  const count = Math.ceil(tags.length / tagsPerCall)
  return Array.from({ length: count }, (_, i) => ({ tags: tags.slice(i * tagsPerCall, (i + 1) * tagsPerCall), mode }))
}

function plain(found: Found | StoreOut): CacheRecord | Vacancy | StoreOut {
  return found && (found.kind === 'record' ? found.record : found.vacancy)
}
