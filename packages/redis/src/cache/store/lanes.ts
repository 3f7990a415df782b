import { createHash, randomBytes } from 'node:crypto'
import { type ChannelOwner, channelOf } from '../../connection/client.ts'
import { Remembered } from '../../connection/remembered.ts'
import { unknownRun } from './server-run.ts'

/** Of what is written to Redis. Another layout gets another number, so that two versions can share a server. */
const format = 3

/** 132 bits: nobody finds two keys with the same one. */
const idLength = 22

/** How many keys' places are remembered, and how many variants' names. */
const rememberedPlaces = 5_000
const rememberedVariants = 1_000

/** Where a cache key lives. */
export interface Place {
  readonly lane: Lane
  readonly id: string
  readonly entry: string
  /** Where nothing varies. */
  readonly own: VariantPlace
}

/** Where a variant lives, beside its entry. */
export interface VariantPlace {
  /** Its name inside the entry. */
  readonly name: string
  readonly lease: string
  readonly frame: string
}

/** The name of the one variant there is where nothing varies. */
export const plainName = '0'

/** A position in the order of a lane's invalidations. */
export interface LanePosition {
  readonly epoch: string
  readonly n: number
}

/** What a process knows of a lane. Replaced as a whole, so that a reply can be held against what was known before. */
interface Seen {
  readonly epoch: string
  readonly n: number
  /** Epochs that ended: one that comes back is a server that has lost what happened since. */
  readonly ended: readonly string[]
}

const rememberedEpochs = 16

/**
 * One of the parts a namespace is cut into: a hash tag, so that all its keys share a slot of a Cluster. Not a shard, which
 * is a server's part of the keys, nor a slot, which is Redis's: several lanes may share either. What counts is that each
 * has an order of its own, in which its fills and invalidations stand one behind the other (docs/decisions/0009).
 */
export class Lane {
  readonly index: number
  readonly clock: string
  /** Written to see whether that can be done. */
  readonly probe: string
  readonly #prefix: string
  /** No two processes have the same, and none has it twice. */
  readonly #name = randomBytes(9).toString('base64url')
  #begun = 0
  #seen: Seen = { epoch: '', n: 0, ended: [] }

  constructor(namespace: string, index: number) {
    this.index = index
    this.#prefix = `{${namespace}:${format}:${index}}`
    this.clock = `${this.#prefix}c`
    this.probe = `${this.#prefix}p`
  }

  get seen(): Seen {
    return this.#seen
  }

  entry(id: string): string {
    return `${this.#prefix}${id}:e`
  }

  variant(id: string, name: string): VariantPlace {
    const place = `${this.#prefix}${id}:${name}`
    return { name, lease: `${place}:l`, frame: `${place}:f` }
  }

  /**
   * The first arguments of every script of this lane.
   *
   * @param time - empty for the server's
   * @param run - of the server that is asked: an epoch that another one began has ended
   */
  head(time: string, run = unknownRun): (string | number)[] {
    const { epoch, n } = this.#seen
    return [epoch, n, `${run}${this.#fresh()}`, time]
  }

  /** A name for an epoch that nobody has used. */
  #fresh(): string {
    return `${this.#name}${(this.#begun++).toString(36)}`
  }

  /**
   * Takes note of where the lane stands.
   *
   * @param before - what was known when the question was asked
   * @returns false where that epoch had ended before: the answer is of a server that has lost its memory
   */
  note({ epoch, n }: LanePosition, before: Seen): boolean {
    if (before.ended.includes(epoch)) return false
    const seen = this.#seen
    if (epoch === seen.epoch) {
      if (n > seen.n) this.#seen = { ...seen, n }
    } else if (!seen.ended.includes(epoch)) {
      const ended = seen.epoch === '' ? seen.ended : [...seen.ended.slice(1 - rememberedEpochs), seen.epoch]
      this.#seen = { epoch, n, ended }
    }
    return true
  }

  /** The epoch has come back from the dead: the next script ends it again. */
  bury(epoch: string): void {
    const { ended } = this.#seen
    this.#seen = { epoch, n: Number.MAX_SAFE_INTEGER, ended: ended.filter((one) => one !== epoch) }
  }
}

/** The lanes of a namespace. Every process must count the same number of them. */
export class Lanes {
  readonly all: readonly Lane[]
  /** Of the keys asked for last, since hashing is a good part of what a look-up costs here. */
  readonly #places = new Remembered(rememberedPlaces, (key) => this.#placeOf(key))
  readonly #names = new Remembered(rememberedVariants, variantName)
  readonly #bus: string
  readonly #client: ChannelOwner | undefined

  /** @param client - whose key prefix and database the channel carries, as the keys do by themselves */
  constructor(namespace: string, count: number, client?: ChannelOwner) {
    const name = `${namespace}:${count}`
    this.all = Array.from({ length: count }, (_, i) => new Lane(name, i))
    this.#bus = `${name}:${format}:bus`
    this.#client = client
  }

  /** Where invalidations are told. */
  get channel(): string {
    return channelOf(this.#bus, this.#client)
  }

  place(key: string): Place {
    return this.#places.get(key)
  }

  /** One of the variants of a key. */
  variant({ lane, id }: Place, secondary: string): VariantPlace {
    return lane.variant(id, this.#names.get(secondary))
  }

  #placeOf(key: string): Place {
    // UTF-16, because UTF-8 cannot tell halves of surrogate pairs apart.
    const digest = createHash('sha256').update(key, 'utf16le').digest()
    const lane = this.all[digest.readUInt32BE(28) % this.all.length]!
    const id = digest.toString('base64url').slice(0, idLength)
    return { lane, id, entry: lane.entry(id), own: lane.variant(id, plainName) }
  }
}

/** Tags as the scripts know them: 8 bytes each. Two that share them are invalidated together, which only costs a miss. */
export function tagHash(tag: string): Buffer {
  return createHash('sha256').update(tag).digest().subarray(0, 8)
}

/** The hashes of a record's tags in one. */
export function tagHashes(tags: readonly string[]): Buffer {
  return Buffer.concat(tags.map(tagHash))
}

function variantName(secondary: string): string {
  return createHash('sha256').update(secondary, 'utf16le').digest('base64url').slice(0, idLength)
}
