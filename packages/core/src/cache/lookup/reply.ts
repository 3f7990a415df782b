import { encoderOf } from '../../exchange/encoder.ts'
import type { Reply } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { displayName } from '../../http/fields/field-case.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { formatHttpDate } from '../../http/fields/http-date.ts'
import { bestCoding, isNegotiated } from '../../http/selection/codings.ts'
import { evaluateConditional, isField304 } from '../../http/selection/conditional.ts'
import { codedTag } from '../../http/selection/etag.ts'
import { ifRangeHolds, parseContentRange, singleRange } from '../../http/selection/range.ts'
import type { CacheRecord, DownstreamPromise, StoredForm } from '../entry/record.ts'
import { rendered } from '../entry/rendered.ts'
import { cacheControl, cdnCacheControl } from '../policy/advertise.ts'

/**
 * The head of a form as the last hit rendered it: it changes once a second (Age, ttl), and a hot entry is sent thousands
 * of times in that second.
 */
interface Rendered {
  readonly age: number
  readonly ttl: number
  /** Whose line it is: two caches may share a record and name themselves differently. */
  readonly by: object
  /** `undefined` once it was forgotten. */
  fields: readonly string[] | undefined
}

/** How many heads are remembered: half a kilobyte each. */
const rememberedHeads = 1_000

/**
 * The heads that were rendered lately. Of one more, the oldest is forgotten: an entry that was hit once, long ago, does
 * not hold its head in memory, and however many entries there are, this is all that hits add to what a store counts.
 */
export class RenderedHeads {
  readonly #latest: Rendered[] = []
  #next = 0

  remember(head: Rendered): void {
    const oldest = this.#latest[this.#next]
    if (oldest) oldest.fields = undefined
    this.#latest[this.#next] = head
    this.#next = (this.#next + 1) % rememberedHeads
  }
}

/** Stands for the head of a form that was sent once. */
const sentOnce: Rendered = { age: -1, ttl: 0, by: {}, fields: undefined }

/** A stored form with the place where its last head is remembered. The memo never leaves this file. */
type MemoForm = StoredForm & { [rendered]?: Rendered }

/** A request that is answered from a record. */
interface Asking {
  readonly view: RequestView
  /** When the store answered. */
  readonly now: number
}

/** The look-up of a plain hit. */
interface Hitting extends Asking {
  readonly core: { readonly heads: RenderedHeads }
  readonly policy: object
  /** Writes the `Cache-Status` member. */
  readonly hitLine: (ttl: number) => string
}

/** The form of a record that this client is sent. */
interface Chosen {
  readonly record: CacheRecord
  readonly form: MemoForm
  readonly view: RequestView
}

function choose(view: RequestView, record: CacheRecord): Chosen | undefined {
  const form = chooseForm(record, view)
  return form && { record, form, view }
}

/** The answer to a plain hit, remembered for the second it holds. */
export function replyToHit(lookup: Hitting, record: CacheRecord): Reply | undefined {
  const { now, policy: by } = lookup
  const chosen = choose(lookup.view, record)
  if (!chosen) return undefined
  const { form } = chosen
  const age = ageOf(record, now)
  const ttl = Math.floor((record.staleAt - now) / 1000)
  const memo = form[rendered]
  if (memo?.fields && memo.age === age && memo.ttl === ttl && memo.by === by) return answer(chosen, memo.fields)
  const fields = head(chosen, now, lookup.hitLine(ttl))
  if (memo === undefined) {
    // From a store that other processes share, a record comes for one hit: nothing would ask for its head again.
    form[rendered] = sentOnce
  } else {
    form[rendered] = { age, ttl, by, fields }
    lookup.core.heads.remember(form[rendered])
  }
  return answer(chosen, fields)
}

/**
 * The answer a record gives a request: 304 to a condition that holds (RFC 9111 §4.3.2), 206 to a single range of a 200
 * (RFC 9110 §14), else the whole of the form this client likes best. `undefined` where it accepts none that is held.
 *
 * @param line - the `Cache-Status` member
 */
export function replyFrom({ view, now }: Asking, record: CacheRecord, line: string): Reply | undefined {
  const chosen = choose(view, record)
  return chosen && answer(chosen, head(chosen, now, line))
}

/** The 206 that a stored part gives, if it has all of the one range the request asks for, and its `If-Range` holds. */
export function replyFromPart({ view, now }: Asking, part: CacheRecord, line: string): Reply | undefined {
  const chosen = choose(view, part)
  const held = parseContentRange(fieldOf(part.fields, 'content-range'))
  const range = held && singleRange(view.header('range'), held.length)
  if (!chosen || !range || range === 'unsatisfiable' || range.start < held.start || range.end > held.end)
    return undefined
  const { form } = chosen
  if (!ifRangeHolds(view.header('if-range'), form.etag, fieldOf(part.fields, 'last-modified'), part.dateMs)) {
    return undefined
  }
  const body = form.body.subarray(range.start - held.start, range.end - held.start + 1)
  return partOf(head(chosen, now, line), { body, start: range.start, of: held.length })
}

/**
 * The answer to the request whose handler has just brought this record: what the handler said, connection fields and
 * all, with the validator the record has.
 *
 * @param own - the handler's own fields, this cache's member of `Cache-Status` among them
 */
export function replyWith(view: RequestView, record: CacheRecord, own: Fields): Reply {
  const chosen = choose(view, record) ?? { record, form: record.forms[0]!, view }
  const fields: string[] = []
  for (const [name, value] of own) {
    if (!isComputed(name, value)) fields.push(displayName(name), value)
  }
  const status = own.lines('cache-status').join(', ')
  fields.push('Date', formatHttpDate(record.dateMs), ...formFields(record, chosen.form), 'Cache-Status', status)
  return answer(chosen, fields)
}

function answer(chosen: Chosen, fields: readonly string[]): Reply {
  const { record, form, view } = chosen
  if (record.status === 200) {
    if (view.header('if-none-match') !== undefined || view.header('if-modified-since') !== undefined) {
      if (notModified(record, view)) return { status: 304, fields: only304(fields), body: undefined }
    }
    if (view.method === 'GET' && view.header('range') !== undefined) return ranged(chosen, fields)
  }
  const { status, reason, without } = record
  return { status, reason, without, fields, body: bodyless(status) ? undefined : form.body }
}

/** Whether the record sets the field, whatever the handler said. */
function isComputed(name: string, value: string): boolean {
  return computed.has(name) || (name === 'content-encoding' && isNegotiated(value))
}

const computed = new Set(['date', 'etag', 'cache-status', 'content-length', 'transfer-encoding'])

function chooseForm(record: CacheRecord, view: RequestView): StoredForm | undefined {
  const { forms } = record
  const encoder = encoderOf(view)
  if (encoder !== undefined && forms[0]!.coding === 'identity') {
    const asked = forms.find((f) => f.coding === encoder.coding)
    // A client that has a part of another form wants the rest of that one (RFC 9110 §13.1.5).
    const begun = view.header('if-range')
    return (begun && forms.find((f) => f.etag === begun && encoder.accepts(f.coding))) || asked || bestForm(forms, view)
  }
  if (forms.length === 1) {
    const only = forms[0]!
    if (only.coding === 'identity') return only
  }
  return bestForm(forms, view)
}

function bestForm(forms: readonly StoredForm[], view: RequestView): StoredForm | undefined {
  const best = bestCoding(
    view.header('accept-encoding'),
    forms.map((f) => f.coding),
  )
  return forms.find((f) => f.coding === best)
}

function head({ record, form }: Chosen, now: number, statusLine: string): readonly string[] {
  return [
    ...(record.promise ? promisedFields(record, record.promise, now) : record.fields),
    'Date',
    formatHttpDate(record.dateMs),
    'Age',
    String(ageOf(record, now)),
    ...formFields(record, form),
    'Cache-Status',
    statusLine,
  ]
}

/** The stored fields, with what is left now of what caches further on were promised. */
function promisedFields(record: CacheRecord, promise: DownstreamPromise, now: number): string[] {
  const age = ageOf(record, now)
  const leftMs = record.staleAt - now
  const fields = [...record.fields]
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (name === 'cache-control') fields[i + 1] = cacheControl(promise, age, leftMs)
    if (name === 'cdn-cache-control') fields[i + 1] = cdnCacheControl(promise, age, leftMs)
  }
  return fields
}

/** Whole seconds (RFC 9111 §4.2.3 current_age). */
function ageOf(record: CacheRecord, now: number): number {
  return Math.max(0, Math.floor((record.initialAgeMs + now - record.storedAt) / 1000))
}

/** What differs between the forms of one response. */
function formFields(record: CacheRecord, form: StoredForm): string[] {
  const fields: string[] = []
  if (form.etag !== undefined) fields.push('ETag', form.etag)
  if (form.coding !== 'identity') fields.push('Content-Encoding', form.coding)
  if (!bodyless(record.status)) fields.push('Content-Length', String(form.body.byteLength))
  return fields
}

/** Answers without content, which must not carry Content-Length either (RFC 9110 §8.6). */
const bodyless = (status: number): boolean => status === 204 || status === 304

function notModified(record: CacheRecord, view: RequestView): boolean {
  const selected = {
    etags: tagsOf(record),
    lastModified: fieldOf(record.fields, 'last-modified'),
    dateMs: record.dateMs,
  }
  return evaluateConditional(view.method, (name) => view.header(name), selected) === 'not-modified'
}

/** Every tag a client may know this response by: that of a form the best level has replaced is as good as it was. */
function tagsOf(record: CacheRecord): string[] {
  const identity = record.forms[0]!.etag
  const tags = record.forms.flatMap((f) => f.etag ?? [])
  for (const form of record.forms) if (form.best && identity) tags.push(codedTag(identity, form.coding))
  return tags
}

/** By the list of a whole answer, which is the same one for a second. */
const of304 = new WeakMap<readonly string[], readonly string[]>()

export function only304(fields: readonly string[]): readonly string[] {
  const known = of304.get(fields)
  if (known) return known
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (isField304(fields[i]!)) kept.push(fields[i]!, fields[i + 1]!)
  }
  of304.set(fields, kept)
  return kept
}

function ranged({ record, form, view }: Chosen, fields: readonly string[]): Reply {
  const whole: Reply = { status: 200, fields, body: form.body }
  const condition = view.header('if-range')
  const lastModified = fieldOf(record.fields, 'last-modified')
  if (condition !== undefined && !ifRangeHolds(condition, form.etag, lastModified, record.dateMs)) return whole
  const length = form.body.byteLength
  const range = singleRange(view.header('range'), length)
  if (!range) return whole
  if (range === 'unsatisfiable') {
    const kept = without(fields, unsatisfiableDrops)
    return { status: 416, fields: [...kept, 'Content-Range', `bytes */${length}`, 'Content-Length', '0'], body: empty }
  }
  return partOf(fields, { body: form.body.subarray(range.start, range.end + 1), start: range.start, of: length })
}

/** Bytes of a representation. `of`: how many the whole has. */
interface Part {
  readonly body: Uint8Array
  readonly start: number
  readonly of: number
}

/** A 206 (RFC 9110 §15.3.7). */
function partOf(fields: readonly string[], { body, start, of }: Part): Reply {
  const range = `bytes ${start}-${start + body.byteLength - 1}/${of}`
  const kept = without(fields, ofPart)
  return { status: 206, fields: [...kept, 'Content-Range', range, 'Content-Length', String(body.byteLength)], body }
}

const empty: Uint8Array = new Uint8Array(0)
const ofPart = new Set(['content-length', 'content-range'])
const unsatisfiableDrops = new Set(['content-length', 'content-type', 'content-encoding', 'etag', 'last-modified'])

function without(fields: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (!names.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
  }
  return kept
}

/** A field's value in a flat list. `name` in lower case. */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === name) return fields[i + 1]
  return undefined
}
