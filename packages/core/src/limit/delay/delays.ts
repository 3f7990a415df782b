import type { Clock } from '../../base/clock.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Charger } from '../charge/charger.ts'
import { type Charges, madeOf, type PolicyCharge } from '../charge/charges.ts'
import type { Permits } from '../charge/permits.ts'
import type { LimitSink } from '../events.ts'
import type { LimitCounters } from '../limiter-stats.ts'
import type { Verdict } from '../store/store.ts'
import { lastRound, roundsMs } from './estimate.ts'
import type { Lines } from './lines.ts'
import { type Delayed, type Stay, type Wait, Waiter, type WaitingParts } from './waiter.ts'

interface Parts {
  readonly clock: Clock
  readonly charger: Charger
  readonly charges: Charges
  readonly permits: Permits
  readonly lines: Lines
  readonly sink: LimitSink
  readonly counters: LimitCounters
}

/**
 * Charges requests of policies that would rather delay than refuse (`slowDown`). A request over its quota waits in line until
 * it can be charged, if that is soon enough and there is a place; one within it, but near its end, is held up when it is
 * charged. Nothing but the wait is new: what decides is the store, each time, about all charges of the request together.
 */
export class Delays {
  readonly #parts: Parts
  readonly #waiting: WaitingParts
  readonly #waiters = new Set<Waiter>()
  /** Lets those go on that are held up. */
  readonly #eased = new Set<() => void>()
  #arrivals = 0
  #closed = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.#waiting = {
      ...parts,
      waitedFor: (request, arrival, wait) => this.#waitedFor(request, arrival, wait),
      look: (request, arrival) => this.#look(request, arrival),
      ended: (waiter, stay, waitedMs) => {
        this.#waiters.delete(waiter)
        this.#report(waiter.request, stay, waitedMs)
      },
    }
  }

  /** How many are delayed now. */
  get size(): number {
    return this.#waiters.size + this.#eased.size
  }

  /** Sets verdicts and outcome, as a charger does, at once or when the wait is over. */
  charge(request: Delayed): MaybePromise<Stay> {
    const arrival = this.#arrivals++
    const { charger, lines } = this.#parts
    if (lines.size > 0) {
      const behind = this.#behind(request, arrival)
      if (behind.length > 0) return this.#standBehind(request, arrival, behind)
    }
    return chain(charger.charge(request), () => {
      if (request.allowed) return this.#ease(request)
      // Others may have come to wait for the same while the store was asked.
      const behind = lines.size > 0 ? this.#behind(request, arrival) : none
      return behind.length > 0 ? this.#standBehind(request, arrival, behind) : this.#wait(request, arrival)
    })
  }

  /** The charges for whose keys somebody waits already that came before. */
  #behind({ charges }: Delayed, arrival: number): readonly PolicyCharge[] {
    const { lines } = this.#parts
    // What can never be had is not waited for, whoever else waits.
    if (charges.some(({ cost, quota }) => cost > quota.algorithm.limit && !quota.shadow)) return none
    return charges.filter(
      ({ policy, quota, key, cost }) =>
        policy.slowDown && !quota.shadow && cost > 0 && lines.unitsAhead(key, arrival) > 0,
    )
  }

  #standBehind(request: Delayed, arrival: number, behind: readonly PolicyCharge[]): MaybePromise<Stay> {
    const { clock } = this.#parts
    const found = this.#look(request, arrival)
    request.allowed = false
    if (!isPromise(found)) {
      request.verdicts = found
      return this.#wait(request, arrival)
    }
    // Until it is known how long it will be: for whoever closes, or leaves.
    const atMs = Math.floor(clock.now())
    request.verdicts = request.charges.map((charge) => (behind.includes(charge) ? unknown(charge, atMs) : undefined))
    if (this.#closed || !hasRoom(behind, this.#parts.lines)) {
      return found.then((verdicts) => {
        request.verdicts = verdicts
        return 'decided'
      })
    }
    return this.#waiter(request, arrival).wait(behind, found)
  }

  /** After a refusal. */
  #wait(request: Delayed, arrival: number): MaybePromise<Stay> {
    const waitedFor = this.#closed ? undefined : this.#waitedFor(request, arrival, { elapsedMs: 0, again: false })
    if (!waitedFor || !hasRoom(waitedFor, this.#parts.lines)) return 'decided'
    return this.#waiter(request, arrival).wait(waitedFor)
  }

  #waiter(request: Delayed, arrival: number): Waiter {
    const waiter = new Waiter(request, arrival, this.#waiting)
    this.#waiters.add(waiter)
    this.#parts.counters.delayed++
    return waiter
  }

  /** All that refuse must be ready to let it wait, and for long enough. */
  #waitedFor({ charges, verdicts }: Delayed, arrival: number, wait: Wait): readonly PolicyCharge[] | undefined {
    const waitedFor: PolicyCharge[] = []
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const verdict = verdicts[i]
      if (!verdict || verdict.allowed || charge.quota.shadow) continue
      const { slowDown } = charge.policy
      // While a store is out nobody knows how long that will be.
      if (!slowDown || verdict.permanent || verdict.via === 'closed') return undefined
      if (wait.elapsedMs + this.#expectedMs(charge, verdict, arrival, wait) > slowDown.maxMs) return undefined
      waitedFor.push(charge)
    }
    return waitedFor.length > 0 ? waitedFor : undefined
  }

  /**
   * Of a concurrency nobody knows: it is what permits take as a rule, and where that is not known it is tried. Who waits
   * already waits on, for a permit may come back at any time.
   */
  #expectedMs({ quota, key, cost }: PolicyCharge, { retryAfterMs }: Verdict, arrival: number, { again }: Wait): number {
    if (quota.algorithm.kind !== 'concurrent') return retryAfterMs
    const { permits, lines } = this.#parts
    const usualMs = again ? undefined : permits.usualMs(quota.id)
    if (usualMs === undefined) return 0
    return (usualMs * (lines.unitsAhead(key, arrival) + cost)) / quota.algorithm.limit
  }

  /**
   * How long the wait is with those in front of it, as refusals. Asked of the store once for a place in line: who comes
   * when nothing has moved is told the same.
   */
  #look(request: Delayed, arrival: number): MaybePromise<readonly (Verdict | undefined)[]> {
    const { charger, clock, lines } = this.#parts
    const { charges } = request
    const units = charges.map(({ key, cost }) => lines.unitsAhead(key, arrival) + cost)
    const isBehind = (i: number): boolean => units[i]! > charges[i]!.cost
    const now = clock.now()
    const known = charges.map(({ key }, i) => (isBehind(i) ? lines.known(key, units[i]!, now) : undefined))
    if (charges.every((_, i) => known[i] || !isBehind(i))) {
      return known.map(
        (one) =>
          one && {
            ...one.verdict,
            retryAfterMs: Math.max(1, one.verdict.retryAfterMs - (now - one.atMs)),
          },
      )
    }
    const asked = charges.map((charge, i) =>
      isBehind(i) ? { ...charge, cost: lastRound(charge.quota.algorithm, units[i]!) } : charge,
    )
    const states = charges.map(({ key }) => lines.state(key))
    return chain(charger.look(asked), (found) =>
      found.map((verdict, i) => {
        const { key, quota } = charges[i]!
        if (!isBehind(i)) return verdict
        const retryAfterMs = Math.max(1, verdict.retryAfterMs + roundsMs(quota.algorithm, units[i]!))
        const refusal = { ...verdict, allowed: false, retryAfterMs, resetMs: Math.max(1, verdict.resetMs) }
        lines.note(key, { units: units[i]!, verdict: refusal, atMs: now, state: states[i] })
        return refusal
      }),
    )
  }

  /** Within its quota: the nearer to its end, the longer it is held up. It is charged by now, and stays so. */
  #ease(request: Delayed): MaybePromise<Stay> {
    const { charges, verdicts } = request
    let delayMs = 0
    for (let i = 0; i < charges.length; i++) delayMs = Math.max(delayMs, easeMs(charges[i]!, verdicts[i]))
    return delayMs === 0 || this.#closed ? 'decided' : this.#hold(request, delayMs)
  }

  #hold(request: Delayed, delayMs: number): Promise<Stay> {
    const { charger, clock, counters } = this.#parts
    const places = new Set(request.charges.flatMap(({ policy: { slowDown } }) => (slowDown?.byMs ? slowDown : [])))
    const sinceMs = clock.now()
    counters.delayed++
    for (const { taken } of places) taken.eased++
    return new Promise((resolve) => {
      let over = false
      const end = (stay: Stay): void => {
        if (over) return
        over = true
        cancel()
        stopListening?.()
        this.#eased.delete(goOn)
        for (const { taken } of places) taken.eased--
        if (stay === 'left') charger.giveBack(madeOf(request, ({ permit }) => permit !== ''))
        this.#report(request, stay, Math.min(delayMs, Math.max(0, clock.now() - sinceMs)))
        resolve(stay)
      }
      const goOn = (): void => end('decided')
      const cancel = clock.after(delayMs, goOn)
      let stopListening: (() => void) | undefined
      this.#eased.add(goOn)
      stopListening = request.view.onGone?.(() => end('left'))
      if (over) stopListening?.()
    })
  }

  #report({ allowed, charges, view }: Delayed, stay: Stay, waitedMs: number): void {
    const { counters, sink } = this.#parts
    if (stay === 'left') counters.left++
    const delaying = new Set(charges.flatMap(({ policy }) => (policy.slowDown ? policy : [])))
    for (const policy of delaying) policy.counters.delayed++
    if (!sink.wants('delayed')) return
    const policies = [...new Set([...delaying].map(({ name }) => name))]
    const outcome = stay === 'left' ? 'left' : allowed ? 'admitted' : 'refused'
    sink.emit('delayed', { route: view.route, policies, waitedMs, outcome })
  }

  /** Nobody waits any longer: who waited is refused, who was only held up goes on. */
  close(): void {
    this.#closed = true
    for (const waiter of [...this.#waiters]) waiter.close()
    for (const goOn of [...this.#eased]) goOn()
  }
}

const none: readonly never[] = Object.freeze([])

function hasRoom(charges: readonly PolicyCharge[], lines: Lines): boolean {
  return charges.every(({ policy, key }) => {
    const { perKey, queue, taken } = policy.slowDown!
    return taken.waiting < queue && lines.length(key) < perKey
  })
}

function easeMs({ policy, quota }: PolicyCharge, verdict: Verdict | undefined): number {
  const { slowDown } = policy
  if (!slowDown || slowDown.byMs === 0 || quota.shadow || !verdict?.allowed || verdict.via === 'open') return 0
  if (slowDown.taken.eased >= slowDown.queue) return 0
  const beyond = verdict.limit - verdict.remaining - Math.floor(slowDown.from * verdict.limit)
  return beyond <= 0 ? 0 : Math.min(slowDown.maxMs, beyond * slowDown.byMs)
}

function unknown({ quota }: PolicyCharge, atMs: number): Verdict {
  const { limit } = quota.algorithm
  const waitMs = 1_000
  const said = { retryAfterMs: waitMs, resetMs: waitMs, permanent: false, atMs, via: 'store' } as const
  return { allowed: false, limit, remaining: 0, ...said }
}
