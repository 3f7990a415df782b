import {
  type Breaker,
  type CacheRecord,
  type Clock,
  expireRecord,
  recordFrom,
  type StoreOut,
  type Vacancy,
  type VariantSelector,
} from '@sluice/core'
import { Batcher } from '../../connection/batcher.ts'
import { withDeadline } from '../../connection/deadline.ts'
import { Remembered } from '../../connection/remembered.ts'
import { type Leases, vacancyAt } from '../fill/leases.ts'
import { type Answer, attempts, type LaneScripts } from '../store/lane-scripts.ts'
import { type Lane, type Lanes, type Place, plainName, type VariantPlace } from '../store/lanes.ts'
import { judgement, leaseStates, lookUp, outcome, stampBytes } from '../store/scripts.ts'
import { Heads } from './heads.ts'
import { parseSpec, type SpecHints } from './specs.ts'

/** What a look-up found, with what another store needs to keep it too. The frame has its stamp in front. */
export type Found =
  | { readonly kind: 'record'; readonly record: CacheRecord; readonly spec: string; readonly frame: Buffer }
  | { readonly kind: 'vacancy'; readonly vacancy: Vacancy; readonly spec: string }

/** A request that waits for what a question brings. */
interface Asking {
  readonly select: VariantSelector
  readonly attempt: number
  readonly resolve: (found: Found | StoreOut) => void
  readonly reject: (error: unknown) => void
}

interface Question {
  readonly place: Place
  /** What the key is believed to vary by, and the variant under it. */
  readonly spec: string
  readonly variant: VariantPlace
  /** Whether its lease is wanted. */
  readonly lease: boolean
  readonly now: number
  /** One or several; the first gets the lease. */
  readonly askedBy: Asking[]
}

/** Questions that go out together. */
interface Batch {
  readonly lane: Lane
  readonly questions: readonly Question[]
  /** Of their leases, with the number of the question behind it. */
  readonly token: string
}

/** What Redis says of a batch. */
interface Told {
  readonly answer: Answer
  /** One for each question that is plain, two for the others. */
  readonly frames: readonly (Buffer | null)[]
}

/** Where in what was told the rest begins. */
interface Cursor {
  judgement: number
  frame: number
  spec: number
}

export interface LookUpsOptions {
  readonly scripts: LaneScripts
  readonly lanes: Lanes
  readonly clock: Clock
  readonly deadlineMs: number
  readonly hints: SpecHints
  readonly leases: Leases
  readonly breakerOf: (lane: Lane) => Breaker
  /** Whether a request may ask that lane now. Who may must tell the breaker how it went. */
  readonly reaches: (lane: Lane) => boolean
  /** Told of a frame that nobody can have stored like that: torn, or forged. It counts as not there. */
  readonly damaged: (frame: Buffer) => void
}

/** How many entries are looked up by one call at most: a twentieth of a millisecond of Redis's time. */
const perCall = 16

/** What arrives more slowly than this is not waited for beyond the deadline: 5 MB a second. */
const slowestBytesPerMs = 5_000

/** And nothing longer than this. */
const longestArrivalMs = 5_000

/** There are few: routes of one kind vary by the same fields. */
const rememberedSpecs = 200

/**
 * Looks entries up in Redis, those of one lane that are asked for in one turn of the event loop together. Requests that
 * ask for the same entry share one question, as long as it has not been sent: its answer is of a moment after each of
 * them began, so nothing in it can be older than a purge that had resolved before.
 */
export class LookUps {
  readonly #options: LookUpsOptions
  readonly #batchers: readonly Batcher<Question>[]
  /** Those not sent yet, by what they ask for. */
  readonly #unsent: Map<string, Question>[]
  readonly #heads = new Heads()
  readonly #specs = new Remembered(rememberedSpecs, parseSpec)
  /** What was learnt beside a record that is stale. */
  readonly #renewals = new WeakMap<CacheRecord, Vacancy>()

  constructor(options: LookUpsOptions) {
    this.#options = options
    const { all } = options.lanes
    this.#unsent = all.map(() => new Map())
    this.#batchers = all.map((lane) => new Batcher(perCall, (questions) => void this.#send(lane, questions)))
  }

  /** `undefined` where Redis cannot be asked. */
  find<T>(key: string, select: VariantSelector, lease: boolean, as: (found: Found | StoreOut) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const asking: Asking = { select, attempt: 1, resolve: (found) => resolve(as(found)), reject }
      this.#ask(this.#options.lanes.place(key), asking, lease)
    })
  }

  renewal(record: CacheRecord): Vacancy | undefined {
    return this.#renewals.get(record)
  }

  #ask(place: Place, asking: Asking, lease: boolean): void {
    const { hints, lanes, scripts, reaches } = this.#options
    const { lane } = place
    const spec = hints.get(place.id)
    const variant = spec === '' ? place.own : lanes.variant(place, asking.select(this.#specs.get(spec)))
    if (asking.attempt === 1 && !reaches(lane)) {
      asking.resolve(undefined)
      return
    }
    const unsent = this.#unsent[lane.index]!
    const same = lease ? unsent.get(variant.frame) : undefined
    if (same) {
      same.askedBy.push(asking)
      return
    }
    const question: Question = { place, spec, variant, lease, now: scripts.now(), askedBy: [asking] }
    if (lease) unsent.set(variant.frame, question)
    this.#batchers[lane.index]!.add(question)
  }

  async #send(lane: Lane, questions: readonly Question[]): Promise<void> {
    // A new one, since a map that is emptied over and over keeps what was in it alive until the next full collection.
    this.#unsent[lane.index] = new Map()
    const { clock, deadlineMs, leases, breakerOf } = this.#options
    const batch: Batch = { lane, questions, token: `${leases.token()}:` }
    let told: Told
    try {
      const { link } = this.#options.scripts
      const before = link.receivedBytes
      // Large entries take their time, and so do those behind them. How large they are is told before they come.
      const arriving = (): number =>
        Math.min((link.receivedBytes - before + link.expectedBytes) / slowestBytesPerMs, longestArrivalMs)
      const giveBack = (late: Told): void => this.#giveBack(late, batch)
      told = await withDeadline(clock, deadlineMs, 'answer', this.#tell(batch), giveBack, arriving)
      breakerOf(lane).succeeded()
    } catch (error) {
      for (const { askedBy } of questions) {
        for (const { reject } of askedBy) {
          breakerOf(lane).failed()
          reject(error)
        }
      }
      return
    }
    const cursor: Cursor = { judgement: 0, frame: 0, spec: 3 }
    for (let i = 0; i < questions.length; i++) this.#answer(batch, i, told, cursor)
  }

  /** Two commands, which are on their way together. */
  #tell({ lane, questions, token }: Batch): Promise<Told> {
    const { scripts, leases } = this.#options
    const keys: string[] = []
    const variants: string[] = []
    const frameKeys: string[] = []
    let letters = ''
    for (const { place, spec, variant, lease } of questions) {
      keys.push(place.entry, place.own.lease)
      frameKeys.push(place.own.frame)
      if (variant.name === plainName) {
        letters += lease ? 'P' : 'p'
        continue
      }
      letters += lease ? 'V' : 'v'
      keys.push(variant.lease)
      frameKeys.push(variant.frame)
      variants.push(spec, variant.name)
    }
    const judged = scripts.run(lane, lookUp, keys, [leases.leaseMs, token, letters, ...variants])
    const frames = scripts.link.read(frameKeys)
    void this.#expect(judged, frames)
    // Whatever becomes of the frames: leases that were taken must not be forgotten.
    frames.catch(() =>
      judged.then(
        (answer) => this.#giveBack({ answer, frames: [] }, { lane, questions, token }),
        () => {},
      ),
    )
    return Promise.all([judged, frames]).then(([answer, frames]) => ({ answer, frames }))
  }

  /** How much the frames are, from when that is known until they are there. */
  async #expect(judged: Promise<Answer>, frames: Promise<unknown>): Promise<void> {
    try {
      const packed = (await judged).values[2] as Buffer
      let bytes = 0
      for (let at = 0; at < packed.length; at += judgement.bytes) bytes += packed.readUInt32BE(at + judgement.size)
      if (bytes < slowestBytesPerMs) return
      const arrived = this.#options.scripts.link.expect(bytes)
      await frames.then(arrived, arrived)
    } catch {
      // Whoever asked is told.
    }
  }

  #answer(batch: Batch, number: number, told: Told, cursor: Cursor): void {
    const { place, askedBy, lease } = batch.questions[number]!
    try {
      const found = this.#found(batch, number, told, cursor)
      if (found === undefined) {
        for (const asking of askedBy) {
          if (asking.attempt >= attempts) asking.resolve(undefined)
          else this.#ask(place, { ...asking, attempt: asking.attempt + 1 }, lease)
        }
        return
      }
      askedBy[0]!.resolve(found)
      // The lease is one request's. The others of this process wait for that one.
      const shared = askedBy.length > 1 ? this.#withoutLease(found) : found
      for (let i = 1; i < askedBy.length; i++) askedBy[i]!.resolve(shared)
    } catch (error) {
      for (const { reject } of askedBy) reject(error)
    }
  }

  /** `undefined`: the key varies otherwise than was believed, or the record was replaced meanwhile; ask again. */
  #found(batch: Batch, number: number, { answer, frames }: Told, cursor: Cursor): Found | undefined {
    const { place, spec: believed, variant, now } = batch.questions[number]!
    const packed = answer.values[2] as Buffer
    const at = cursor.judgement
    cursor.judgement += judgement.bytes
    const code = packed[at + judgement.outcome]!
    const lease = leaseStates[packed[at + judgement.lease] as 0 | 1 | 2 | 3]
    const isRecord = code === outcome.record || code === outcome.plainRecord
    const spec = isRecord ? (code === outcome.record ? believed : '') : String(answer.values[cursor.spec++])
    const frameAt = cursor.frame
    cursor.frame += variant.name === plainName ? 1 : 2
    this.#options.hints.note(place.id, spec)
    if (code === outcome.otherSpec) return undefined
    const vacancy = (): Vacancy => this.#vacancy(batch, number, answer, spec, lease)
    const frame = isRecord && frames[code === outcome.record ? cursor.frame - 1 : frameAt]
    // Without one it was evicted.
    if (!frame) return { kind: 'vacancy', vacancy: vacancy(), spec }
    const stampAt = at + judgement.stamp
    if (frame.compare(packed, stampAt, stampAt + stampBytes, 0, stampBytes) !== 0) {
      if (lease === 'taken') this.#giveUp(batch, number, code)
      return undefined
    }
    // The age is of a moment after `now`, so a slow reply makes the record older, never younger.
    const head = this.#heads.of(code === outcome.record ? variant.frame : place.own.frame, frame)
    if (!head) this.#options.damaged(frame)
    const stored = head && recordFrom(head, frame, stampBytes, now - packed.readDoubleBE(at + judgement.age))
    const expiredAgeMs = packed.readDoubleBE(at + judgement.expiredAge)
    const record = stored && expiredAgeMs >= 0 ? expireRecord(stored, now - expiredAgeMs) : stored
    if (record === undefined || now >= record.deleteAt) return { kind: 'vacancy', vacancy: vacancy(), spec }
    if (lease !== undefined) this.#renewals.set(record, vacancy())
    return { kind: 'record', record, spec, frame }
  }

  /** What a fill of this place presents; with the lease, where the script has given it. */
  #vacancy(batch: Batch, number: number, answer: Answer, spec: string, lease: Vacancy['lease']): Vacancy {
    const { place, variant } = batch.questions[number]!
    const token = lease === 'taken' ? `${batch.token}${number}` : undefined
    if (token !== undefined) this.#options.leases.hold(token, spec === '' ? place.own.lease : variant.lease)
    return vacancyAt(place.lane, answer, spec, { lease, token })
  }

  #withoutLease(found: Found): Found {
    const vacancy = found.kind === 'vacancy' ? found.vacancy : this.renewal(found.record)
    if (vacancy?.lease !== 'taken') return found
    const held: Vacancy = { ...vacancy, lease: 'held', position: { ...(vacancy.position as object), token: undefined } }
    if (found.kind === 'vacancy') return { ...found, vacancy: held }
    const record = { ...found.record }
    this.#renewals.set(record, held)
    return { ...found, record }
  }

  /** Leases that came too late: whoever asked for them is at the handler already, or gone. */
  #giveBack({ answer }: Told, batch: Batch): void {
    const packed = answer.values[2] as Buffer
    for (let i = 0, at = 0; i < batch.questions.length; i++, at += judgement.bytes) {
      const lease = leaseStates[packed[at + judgement.lease] as 0 | 1 | 2 | 3]
      if (lease === 'taken') this.#giveUp(batch, i, packed[at + judgement.outcome]!)
    }
  }

  #giveUp(batch: Batch, number: number, code: number): void {
    const { leases } = this.#options
    const { place, variant } = batch.questions[number]!
    const plain = code === outcome.plainRecord || code === outcome.keyVacant
    const token = `${batch.token}${number}`
    leases.hold(token, plain ? place.own.lease : variant.lease)
    void leases.release(token, 'given-up')
  }
}
