import type { Clock } from '../../base/clock.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { Recent } from '../../base/recent.ts'
import { type Encoder, encoderOf, type Recipe } from '../../exchange/encoder.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { codedTag } from '../../http/selection/etag.ts'
import type { CacheRecord, StoredForm } from '../entry/record.ts'
import { recordWith } from '../entry/record-with.ts'
import { fieldOf } from '../lookup/reply.ts'
import type { CacheStore, VariantSelector } from '../store/store.ts'
import { LocalForms, sameForm } from './local-forms.ts'
import { type Recompression, Recompressions } from './recompression.ts'

/** What of the cache's core is in use here. */
interface Host {
  readonly store: CacheStore
  readonly clock: Clock
  ask<T>(what: string, fn: () => MaybePromise<T>): MaybePromise<T | undefined>
}

/**
 * How often the forms of an entry were sent since it was stored. Which it was is told by what every process and every
 * look-up tells alike: a shared store gives the moment it was stored anew each time, by the clock of who asks.
 */
interface Heat {
  readonly of: Version
  readonly hits: Map<string, number>
}

/** What tells a stored response from one that takes its place, whichever object it comes in. */
interface Version {
  readonly dateMs: number
  readonly etag: string | undefined
}

/** How many entries are counted. Of one more, the coldest is forgotten. */
const countedEntries = 10_000

/** Whether a record is one to encode, as its compressor found. */
interface Verdict {
  readonly recipe: Recipe
  readonly wanted: boolean
}

/** Where a form belongs, and what it is made of. */
type Target = Pick<Recompression, 'key' | 'variantKey' | 'select' | 'record'>

/** A request that has been looked up. */
interface Selected {
  readonly view: RequestView
  readonly key: { readonly key: string }
  readonly variantKey: string
  /** Answers the same variant long after the request. */
  selector(): VariantSelector
}

function targetOf(request: Selected, record: CacheRecord): Target {
  return { key: request.key.key, variantKey: request.variantKey, select: request.selector(), record }
}

const verdict = Symbol('sluice.verdict')
type JudgedRecord = CacheRecord & { [verdict]?: Verdict }

/**
 * The encoded forms of stored responses. They are made when a client first asks for them, at a fast level; those that
 * are sent often are made once more at the best level, off the request path. The identity bytes stay beside them, and
 * are what every form is made of.
 */
export class Forms {
  readonly #core: Host
  readonly #heat = new Recent<string, Heat>(countedEntries)
  /** Those that take a while and are under way, so that clients that ask at once have one made and not many. */
  readonly #making = new Map<string, { readonly of: StoredForm; readonly form: PromiseLike<StoredForm | undefined> }>()
  readonly #recompressions: Recompressions
  /** What was tried and did not shrink, by variant and coding: there is no point in trying again at each hit. */
  readonly #futile = new Recent<string, Version>(countedEntries)
  /** What is not, or not yet, in a store that other processes share. */
  readonly #local = new LocalForms()

  constructor(core: Host) {
    this.#core = core
    this.#recompressions = new Recompressions(core.clock, (job) => this.#improve(job))
  }

  /** A record that is about to be stored, with the form its first client asks for. */
  forNew(record: CacheRecord, view: RequestView): MaybePromise<CacheRecord> {
    const encoder = encoderOf(view)
    if (!encoder || !this.#isWanted(record, encoder) || encoder.coding === 'identity') return record
    return chain(encode(record, encoder), (form) => (form ? withForm(record, form) : record))
  }

  /** A stored record, with a form in it that this client accepts. Nearly always the record itself. */
  forHit(request: Selected, record: CacheRecord): MaybePromise<CacheRecord> {
    const encoder = encoderOf(request.view)
    if (!encoder || encoder.coding === 'identity' || !this.#isWanted(record, encoder)) return record
    const { variantKey } = request
    record = this.#local.complete(variantKey, record)
    // Another coding the client accepts serves it now; the one it likes best is made if this goes on.
    if (record.forms.some((form) => form.coding !== 'identity' && encoder.accepts(form.coding))) {
      this.#count(request, record, encoder)
      return record
    }
    const at = `${variantKey} ${encoder.coding}`
    if (this.#futile.size > 0 && isVersion(this.#futile.get(at), record)) return record
    const running = this.#making.get(at)
    const of = record.forms[0]!
    const same = running !== undefined && sameForm(running.of, of)
    const form = same ? running.form : this.#make(targetOf(request, record), encoder)
    if (isPromise(form) && form !== running?.form) this.#making.set(at, { of, form })
    return chain(form, (made) => (made ? withForm(record, made) : record))
  }

  close(): void {
    this.#recompressions.close()
    this.#local.clear()
  }

  #isWanted(record: JudgedRecord, encoder: Encoder): boolean {
    const identity = record.forms[0]!
    // The handler has encoded it: that is the only form there is.
    if (identity.coding !== 'identity') return false
    const ask = (): boolean =>
      encoder.wants(record.status, (name) => fieldOf(record.fields, name), identity.body.byteLength)
    if (encoder.fickle) return ask()
    const known = record[verdict]
    if (known?.recipe === encoder.recipe) return known.wanted
    const wanted = ask()
    record[verdict] = { recipe: encoder.recipe, wanted }
    return wanted
  }

  /** Makes the form a client asks for, and keeps it. */
  #make(at: Target, encoder: Encoder): MaybePromise<StoredForm | undefined> {
    const of = at.record.forms[0]!
    const name = `${at.variantKey} ${encoder.coding}`
    return chain(encode(at.record, encoder), (form) => {
      if (this.#making.get(name)?.of === of) this.#making.delete(name)
      if (form) this.#add(at, form)
      else this.#futile.set(name, versionOf(at.record))
      return form
    })
  }

  /** What comes of it is for whoever makes forms off the request path to wait for, and for no hit. */
  #add({ key, variantKey, select, record }: Target, form: StoredForm): MaybePromise<unknown> {
    const { store } = this.#core
    if (!store.addForm) return this.#local.add(variantKey, record, form)
    const taken = this.#core.ask('store', () => store.addForm!(key, select, record, form))
    // In the memory of this process it is there at once; what has no room in it gets none beside it.
    if (!isPromise(taken)) return undefined
    this.#local.add(variantKey, record, form)
    return taken.then((isTaken) => {
      if (isTaken) this.#local.drop(variantKey, form)
    })
  }

  /** Counts a hit of the coding its client likes best. */
  #count(request: Selected, record: CacheRecord, { recipe, coding }: Encoder): void {
    if (recipe.hotAfter === Number.POSITIVE_INFINITY) return
    const { variantKey } = request
    let heat = this.#heat.get(variantKey)
    if (!heat || !isVersion(heat.of, record)) {
      heat = { of: versionOf(record), hits: new Map() }
      this.#heat.set(variantKey, heat)
    }
    const hits = (heat.hits.get(coding) ?? 0) + 1
    heat.hits.set(coding, hits)
    if (hits !== recipe.hotAfter || record.forms.some((form) => form.coding === coding && form.best)) return
    const queued = this.#recompressions.add({ ...targetOf(request, record), recipe, coding })
    // Too much to do at the moment: it may prove hot again.
    if (!queued) heat.hits.delete(coding)
  }

  async #improve(job: Recompression): Promise<void> {
    const { record, recipe, coding } = job
    const identity = record.forms[0]!
    const held = record.forms.find((form) => form.coding === coding)
    const body = await recipe.improve(identity.body, coding)
    if (!body || (held && body.byteLength >= held.body.byteLength)) return
    // Other bytes under the same coding, so another strong tag: ranges of the two must not be joined.
    const etag = identity.etag && codedTag(identity.etag, `${coding}-best`)
    await this.#add(job, { coding, body, etag, best: true })
  }
}

function encode(record: CacheRecord, encoder: Encoder): MaybePromise<StoredForm | undefined> {
  const identity = record.forms[0]!
  const { coding } = encoder
  return chain(
    encoder.recipe.encode(identity.body, coding),
    (body) => body && { coding, body, etag: identity.etag && codedTag(identity.etag, coding) },
  )
}

function versionOf({ dateMs, forms }: CacheRecord): Version {
  return { dateMs, etag: forms[0]!.etag }
}

function isVersion(version: Version | undefined, { dateMs, forms }: CacheRecord): boolean {
  return version?.dateMs === dateMs && version.etag === forms[0]!.etag
}

function withForm(record: CacheRecord, form: StoredForm): CacheRecord {
  return recordWith(record, { forms: [...record.forms, form] })
}
