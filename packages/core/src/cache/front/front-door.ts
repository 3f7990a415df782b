import type { Events, SluiceEvents } from '../../base/events.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { Recent } from '../../base/recent.ts'
import type { Exchange, Opening, Pipeline, Reply } from '../../exchange/exchange.ts'
import { mergedFields, mergeLists } from '../../exchange/merge-fields.ts'
import { notesFor, notesOn } from '../../exchange/request-state.ts'
import type { RequestView, SentHead } from '../../exchange/request-view.ts'
import { targetText } from '../../http/locate.ts'
import type { CacheCore, Passing } from '../cache-core.ts'
import { answerAtOnce, takeAtOnce } from '../lookup/at-once.ts'
import type { LookupCache } from '../lookup/lookup.ts'
import type { CacheKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { addedTo } from './added-fields.ts'
import { whyNot } from './eligible.ts'
import { FrontRoute, type Sample } from './front-route.ts'

/** How the framework saw a request to a place: what of its view does not show in the raw request. */
export interface SeenAs {
  readonly scheme: string
  readonly authority: string
  readonly localPort: number | undefined
  readonly route: string | undefined
  /** The client's address of a raw request, as the framework tells it. */
  readonly addressOf: ((request: object) => string | undefined) | undefined
}

/** Something the application answers from its cache, by what the raw request says of it. */
export interface Place {
  readonly cache: LookupCache
  /** By the values of the fields that the route's `varyBy` names: these stand in it. */
  readonly keys: Map<string, CacheKey>
  readonly seenAs: SeenAs
  /** Our own stages in front of the cache, in their order. */
  readonly stages: readonly Stage[]
  /** The request fields that what middleware adds may depend on. */
  readonly vary: readonly string[]
  /** What middleware adds, by the values of those. */
  readonly added: Map<string, AddedForm>
}

interface AddedForm {
  readonly sample: Sample
  readonly fields: readonly string[]
  /** The same without what is not the same on each answer, and how many names that was worked out with. */
  constant: readonly string[]
  varying: number
}

/** An answer for a request that no framework has seen. */
export interface FrontAnswer {
  /** With what middleware would add. Its list of fields is the same one for the same answer within a second. */
  readonly reply: Reply
  /** To be told of the end. */
  readonly exchanges: readonly Exchange[]
  /** From the store; else a limit has refused the request. */
  readonly hit: boolean
}

/** One of our own stages, and the route as it was known when it ran: limits may count by it. */
interface Stage {
  readonly pipeline: Pipeline
  readonly route: string | undefined
}

interface Ran {
  readonly stages: Stage[]
  readonly fields: Set<string>
}

/** A request in front of its application. */
export interface FrontAsking extends RequestView {
  /** As the stage that is opened is to see it. */
  route: string | undefined
}

/** How many places are known at most; one takes some 400 bytes. */
const mostPlaces = 100_000
/** How many values of the fields in `vary`, or in `varyBy`, one place may have. */
const mostForms = 20

const ranKey = Symbol('sluice.front')

/** Stages of all instances are noted as soon as one has a door: a limit of another one must not be passed by either. */
let anyOpen = false
const nothing: readonly never[] = Object.freeze([])

/**
 * Answers requests from the store before a framework has seen them. What it needs to know it learns from requests that took the
 * ordinary way: which key a request has, which of our stages stand in front of the cache, and what middleware adds to the
 * answer.
 */
export class FrontDoor {
  readonly #core: CacheCore
  readonly #events: Events<SluiceEvents>
  readonly #places = new Recent<string, Place>(mostPlaces)
  /** By the list of fields of a stored answer, which is the same for a second. */
  readonly #merged = new WeakMap<
    readonly string[],
    { readonly added: readonly string[]; readonly whole: readonly string[] }
  >()
  readonly #routes = new WeakMap<CachePolicy, FrontRoute>()
  #isOpen = false
  #warned = false
  #refusedAll = false

  constructor(core: CacheCore, events: Events<SluiceEvents>) {
    this.#core = core
    this.#events = events
    core.front = this
  }

  /** It stands in front of an application from now on. */
  open(): void {
    this.#isOpen = true
    anyOpen = true
  }

  /** From now on every request goes the ordinary way. Said once. */
  refuseAll(reason: string): void {
    if (this.#refusedAll) return
    this.#refusedAll = true
    this.#places.clear()
    this.#say(undefined, `is not used: ${reason}`)
  }

  /** The same pipeline, known to the door where it runs. */
  noting(pipeline: Pipeline): Pipeline {
    const open = (view: RequestView): MaybePromise<Opening> => {
      const opening = pipeline.open(view)
      if (anyOpen && view.frontNote !== undefined) note(pipeline, view, opening)
      return opening
    }
    return Object.create(pipeline, { open: { value: open, enumerable: true } }) as Pipeline
  }

  /** An answer from the store is going the ordinary way. */
  passed(passing: Passing, reply: Reply): void {
    const { view, policy } = passing
    if (!this.#isOpen) {
      this.#warnClosed()
      return
    }
    const route = this.#routeOf(policy)
    if (this.#refusedAll || route.refused !== undefined || reply.status !== 200 || !view.whenSent) return
    const noted = view.frontNote
    if (noted === undefined) return
    const ran = notesOn(view.native)?.[ranKey] as Ran | undefined
    const stages = ran?.stages ?? nothing
    const { place } = noted
    const reason =
      whyNot(
        policy,
        stages.map(({ pipeline }) => pipeline),
      ) ??
      whyNotRequest(noted.changed()) ??
      this.#whyNotKey(place, passing)
    if (reason !== undefined) {
      this.#refuse(route, passing, reason)
      return
    }
    const vary = view.varySet
    const own = new Set(ran?.fields)
    addNames(own, noted.fields)
    view.whenSent((head) => this.#learn({ place, route, passing, reply, stages, own, vary }, head))
  }

  /** The key must be told by the raw request alone. */
  #whyNotKey(place: string, { view, key, policy }: Passing): string | undefined {
    const known = this.#places.get(place)
    const same = known && keyAt(known, view)
    if (known && (known.cache.policy !== policy || (same && same.key !== key.key))) {
      this.#places.delete(place)
      return 'one URL is answered by several routes, or rewritten by middleware'
    }
    const { rewritten } = view
    const target = targetText(view)
    return rewritten === undefined || target.endsWith(rewritten)
      ? undefined
      : 'middleware in front of it rewrites its URL'
  }

  #learn(
    passage: {
      readonly place: string
      readonly route: FrontRoute
      readonly passing: Passing
      readonly reply: Reply
      readonly stages: readonly Stage[]
      readonly own: ReadonlySet<string>
      /** What middleware has said of what its fields depend on, before the answer was there. */
      readonly vary: string | undefined
    },
    head: SentHead,
  ): void {
    const { place, route, passing, reply, stages, own, vary } = passage
    if (route.refused !== undefined) return
    const added = addedTo(reply, head, { own, vary })
    if (added.kind === 'changed') {
      this.#refuse(route, passing, added.why)
      return
    }
    const { view, policy, hitLine, key } = passing
    let known = this.#places.get(place)
    if (
      !known ||
      known.stages.length !== stages.length ||
      known.stages.some(({ pipeline, route: at }, i) => pipeline !== stages[i]!.pipeline || at !== stages[i]!.route)
    ) {
      const { scheme, authority, localPort, addressOf } = view
      const seenAs = { scheme, authority, localPort, addressOf, route: view.route }
      const cache = { core: this.#core, policy, hitLine }
      known = { cache, keys: new Map(), seenAs, stages, vary: added.vary, added: new Map() }
      this.#places.set(place, known)
    } else if (added.vary.join() !== known.vary.join()) {
      known = { ...known, vary: [...new Set([...known.vary, ...added.vary])].sort(), added: new Map() }
      this.#places.set(place, known)
    }
    if (known.keys.size < mostForms) known.keys.set(valuesUnder(policy.varyFields, view), key)
    const under = valuesUnder(known.vary, view)
    const { found, sample } = route.sample(`${known.vary.join()}\n${under}`, added.fields)
    if (found.length > 0) this.#report(passing, `leaves out ${found.join(', ')}, which are not the same on each answer`)
    if (known.added.size < mostForms) {
      known.added.set(under, { sample, fields: added.fields, constant: added.fields, varying: 0 })
    }
  }

  /** The place a raw request asks for, where it is one. */
  place(name: string): Place | undefined {
    return this.#places.get(name)
  }

  /** The answer to a raw request to a known place; `undefined`: the application's to give. */
  answer(view: FrontAsking, place: Place): MaybePromise<FrontAnswer | undefined> {
    const route = this.#routes.get(place.cache.policy)
    if (!route || route.refused !== undefined || !route.isKnown) return undefined
    const form = place.added.get(valuesUnder(place.vary, view))
    const key = keyAt(place, view)
    if (!key || !form?.sample.isCompared) return undefined
    for (const { pipeline } of place.stages) if (pipeline.name === 'compress') void pipeline.open(view)
    const found = answerAtOnce(place.cache, view, key)
    if (!found) return undefined
    if (form.varying !== route.varying.size) {
      form.constant = route.constant(form.fields)
      form.varying = route.varying.size
    }
    const { reply } = found
    let charged: MaybePromise<Charged> = uncharged
    for (const stage of place.stages) {
      const { atFront, name } = stage.pipeline
      if (atFront === 'runs' && name !== 'compress') charged = charge(charged, stage, view)
    }
    const go = ({ refusal, fields, exchanges }: Charged): FrontAnswer => {
      if (refusal) return { reply: refusal, exchanges, hit: false }
      view.route = place.seenAs.route
      takeAtOnce(found)
      const whole = this.#whole(reply.fields, form.constant)
      if (whole === reply.fields && fields.length === 0) return { reply, exchanges, hit: true }
      return { reply: { ...reply, fields: fields.length === 0 ? whole : [...fields, ...whole] }, exchanges, hit: true }
    }
    return isPromise(charged) ? charged.then(go) : go(charged)
  }

  /** The fields of an answer with those that middleware adds in front. */
  #whole(fields: readonly string[], added: readonly string[]): readonly string[] {
    if (added.length === 0) return fields
    const known = this.#merged.get(fields)
    if (known?.added === added) return known.whole
    const whole = withAdded(fields, added)
    this.#merged.set(fields, { added, whole })
    return whole
  }

  #routeOf(policy: CachePolicy): FrontRoute {
    let route = this.#routes.get(policy)
    if (!route) {
      route = new FrontRoute()
      this.#routes.set(policy, route)
    }
    return route
  }

  #refuse(route: FrontRoute, passing: Passing, reason: string): void {
    route.refused = reason
    this.#report(passing, `is not used for this route: ${reason}`)
  }

  #report({ view }: Passing, what: string): void {
    this.#say(view.route, `${what} (${view.route ?? view.path})`)
  }

  #say(route: string | undefined, what: string): void {
    if (this.#events.wants('front-refused')) this.#events.emit('front-refused', { route, reason: what })
    process.emitWarning(`The front door ${what}. See docs/guide/front.md.`, { code: 'SLUICE_FRONT' })
  }

  #warnClosed(): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      '`front: true` does nothing until the application is served through sluice.front(app): the ordinary way is taken.',
      { code: 'SLUICE_FRONT' },
    )
  }
}

/** Notes that a stage ran, and which fields it has put on the answer. */
function note(pipeline: Pipeline, view: RequestView, opening: MaybePromise<Opening>): void {
  const notes = notesFor(view.native)
  notes[ranKey] ??= { stages: [], fields: new Set() } satisfies Ran
  const ran = notes[ranKey] as Ran
  ran.stages.push({ pipeline, route: pipeline.name === 'limit' ? view.route : undefined })
  void chain(opening, (opened) => {
    if (opened.kind === 'proceed' && opened.fields) addNames(ran.fields, opened.fields)
  })
}

function addNames(names: Set<string>, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) names.add(fields[i]!.toLowerCase())
}

/** What of a request is told anew behind the door cannot be told at it. */
const whyNotRequest = (changed: string | undefined): string | undefined =>
  changed && `middleware in front of it changes the request's ${changed}`

/** What a request to a place is stored under; `undefined` where no such request took the ordinary way. */
const keyAt = ({ cache, keys }: Place, view: RequestView): CacheKey | undefined =>
  keys.get(valuesUnder(cache.policy.varyFields, view))

/** What the stages in front have come to so far. */
interface Charged {
  readonly fields: readonly string[]
  readonly exchanges: readonly Exchange[]
  readonly refusal: Reply | undefined
}

const uncharged: Charged = Object.freeze({ fields: nothing, exchanges: nothing, refusal: undefined })

function charge(so: MaybePromise<Charged>, { pipeline, route }: Stage, view: FrontAsking): MaybePromise<Charged> {
  return chain(so, (before) => {
    if (before.refusal) return before
    view.route = route
    return chain(pipeline.open(view), (opening) => after(before, opening))
  })
}

function after(before: Charged, opening: Opening): Charged {
  if (opening.kind !== 'proceed') return { ...before, refusal: opening.reply }
  return {
    fields: opening.fields ? laid(before.fields, opening.fields) : before.fields,
    exchanges: opening.exchange ? [...before.exchanges, opening.exchange] : before.exchanges,
    refusal: undefined,
  }
}

/** Later ones replace their namesakes. */
function laid(before: readonly string[], fields: readonly string[]): readonly string[] {
  if (before.length === 0) return fields
  const names = new Set(fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  const kept: string[] = []
  for (let i = 0; i < before.length; i += 2)
    if (!names.has(before[i]!.toLowerCase())) kept.push(before[i]!, before[i + 1]!)
  return [...kept, ...fields]
}

/** What is in both lists (Vary) is one field with the members of both. */
function withAdded(fields: readonly string[], added: readonly string[]): string[] {
  const whole = [...added]
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const at = mergedFields.has(name.toLowerCase()) ? indexOfField(whole, name) : -1
    if (at < 0) whole.push(name, fields[i + 1]!)
    else whole[at + 1] = mergeLists(whole[at + 1]!, fields[i + 1]!)
  }
  return whole
}

function indexOfField(fields: readonly string[], name: string): number {
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === name.toLowerCase()) return i
  return -1
}

function valuesUnder(names: readonly string[], view: RequestView): string {
  if (names.length === 0) return ''
  let text = ''
  for (const name of names) {
    const value = view.header(name)
    text += value === undefined ? '-;' : `${value.length}:${value};`
  }
  return text
}
