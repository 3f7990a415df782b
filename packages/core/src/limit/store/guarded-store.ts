import { callBegins, watchBackend } from '../../base/backend-watch.ts'
import type { Clock } from '../../base/clock.ts'
import { afterWaiting } from '../../base/deadline.ts'
import { SluiceError } from '../../base/errors.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { asksBan } from '../bans/refusals.ts'
import type { LimitSink } from '../events.ts'
import { Breaker } from './breaker.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'
import type { Charge, LimitStore, LimitStoreUsage, Quota, Settlement, Verdict } from './store.ts'

export interface GuardOptions {
  readonly clock: Clock
  readonly deadlineMs: number
  /** Told of every failure and of every deadline that passed; not of decisions that did not ask. */
  readonly failed: (error: unknown, policies: readonly string[]) => void
  /** Told how long each decision took. */
  readonly sink?: LimitSink | undefined
}

/**
 * A remote store that always decides within its deadline, and never rejects a decision: where the store is late, fails or
 * is known to be out, each policy's `onOutage` decides. It recovers by itself.
 */
export function guardedStore(store: LimitStore, options: GuardOptions): LimitStore {
  return new GuardedStore(store, options)
}

class GuardedStore implements LimitStore {
  readonly kind = 'remote'
  readonly rate
  readonly algorithm
  /** As long as it takes: it is no decision. */
  readonly resetAll?: (policy: string, subject?: string) => MaybePromise<number>
  readonly ban?: NonNullable<LimitStore['ban']>
  readonly unban?: NonNullable<LimitStore['unban']>
  readonly bans?: NonNullable<LimitStore['bans']>
  readonly #store: LimitStore
  readonly #options: GuardOptions
  /** One for each part of the store, which fail one by one. */
  readonly #breakers = new Map<string, Breaker>()
  readonly #local: MemoryLimitStore
  readonly #shares = new WeakMap<Quota, Quota>()

  constructor(store: LimitStore, options: GuardOptions) {
    this.#store = store
    this.#options = options
    this.#local = new MemoryLimitStore(options.clock)
    this.rate = store.rate
    this.algorithm = store.algorithm
    Object.assign(this, this.#keepsBans(store))
    if (store.resetAll) {
      this.resetAll = (policy, subject) => {
        const here = this.#local.resetAll(policy, subject)
        return chain(store.resetAll!(policy, subject), (there) => Math.max(here, there))
      }
    }
  }

  #keepsBans({ ban, unban, bans }: LimitStore): Pick<LimitStore, 'ban' | 'unban' | 'bans'> {
    if (!ban || !unban || !bans) return {}
    const store = this.#store
    return {
      ban: (charge, by) => {
        const made = this.#orThrow(() => ban.call(store, charge, by), [charge])
        return chain(made, (times) => {
          this.#learn(charge, { banned: { begins: true, times }, retryAfterMs: by.forMs })
          return times
        })
      },
      unban: (charge) => {
        this.#local.unban(charge)
        return this.#orThrow(() => unban.call(store, charge), [charge])
      },
      bans: (policies) => bans.call(store, policies),
    }
  }

  #breakerOf(charges: readonly Charge[]): Breaker {
    const part = this.#store.partOf?.(charges) ?? ''
    let breaker = this.#breakers.get(part)
    if (!breaker) {
      const { probe } = this.#store
      breaker = new Breaker(this.#options.clock, probe && (() => probe.call(this.#store, charges)))
      this.#breakers.set(part, breaker)
    }
    return breaker
  }

  refuses(algorithm: Quota['algorithm']): string | undefined {
    return this.#store.refuses?.(algorithm)
  }

  consume(charges: readonly Charge[]): MaybePromise<readonly Verdict[]> {
    // No answer of the store: it says nothing about whether the store is there.
    const decided = this.#store.decided?.(charges)
    if (decided) return decided
    return this.#asked(
      () => this.#learning(charges, this.#store.consume(charges)),
      (breaker) => this.#instead(charges, true, breaker),
      charges,
      (late, decided) => this.#undo(charges, late, decided),
    )
  }

  #learning(charges: readonly Charge[], answer: MaybePromise<readonly Verdict[]>): MaybePromise<readonly Verdict[]> {
    if (!charges.some(asksBan)) return answer
    return chain(answer, (verdicts) => {
      charges.forEach((charge, i) => {
        if (asksBan(charge)) this.#learn(charge, verdicts[i]!)
      })
      return verdicts
    })
  }

  /** A ban holds in this process while the store is out, as far as it is known here. */
  #learn(charge: Charge, { banned, retryAfterMs }: Pick<Verdict, 'banned' | 'retryAfterMs'>): void {
    const known = !this.#local.peek([charge])[0]!.allowed
    if (!banned) {
      if (known) this.#local.unban(charge)
      return
    }
    try {
      this.#local.ban(charge, { forMs: retryAfterMs, reason: '' })
    } catch {
      // No room: it is known to the store, which will be back.
    }
  }

  peek(charges: readonly Charge[]): MaybePromise<readonly Verdict[]> {
    return this.#asked(
      () => this.#store.peek(charges),
      (breaker) => this.#instead(charges, false, breaker),
      charges,
    )
  }

  /** The store's answer in time, or what `instead` decides. `tooLate`: the answer came after that. */
  #asked<T>(
    ask: () => MaybePromise<T>,
    instead: (breaker: Breaker) => T,
    charges: readonly Charge[],
    tooLate?: (answer: T, decided: T) => void,
  ): MaybePromise<T> {
    const breaker = this.#breakerOf(charges)
    if (!breaker.admits()) return instead(breaker)
    const { clock, deadlineMs, sink } = this.#options
    const since = sink && callBegins(sink, clock)
    const failed = (error: unknown): T => {
      breaker.failed()
      this.#report(error, charges)
      return instead(breaker)
    }
    let answer: MaybePromise<T>
    try {
      answer = ask()
    } catch (error) {
      return failed(error)
    }
    if (!isPromise(answer)) {
      breaker.succeeded()
      return answer
    }
    const told = sink && watchBackend(sink, clock, 'limit', since)
    return new Promise<T>((resolve) => {
      let decided: { readonly value: T } | undefined
      const cancel = afterWaiting(clock, deadlineMs, () => {
        const late = new SluiceError('ERR_SLUICE_STORE', `The limit store took longer than ${deadlineMs} ms.`)
        told?.(false, late)
        decided = { value: failed(late) }
        resolve(decided.value)
      })
      answer.then(
        (value) => {
          if (decided) return tooLate?.(value, decided.value)
          cancel()
          told?.(true)
          breaker.succeeded()
          resolve(value)
        },
        (error) => {
          if (decided) return
          cancel()
          told?.(false, error)
          resolve(failed(error))
        },
      )
    })
  }

  #report(error: unknown, charges: readonly Charge[]): void {
    this.#options.failed(error, [...new Set(charges.map(({ quota }) => quota.policy))])
  }

  /** What the policies say while the store is out: all or none here too. */
  #instead(charges: readonly Charge[], charging: boolean, breaker: Breaker): readonly Verdict[] {
    const now = Math.floor(this.#options.clock.now())
    const retryAfterMs = Math.max(1_000, breaker.open ? breaker.waitMs : 0)
    const closed = charges.some(({ quota }) => quota.onOutage === 'closed' && !quota.shadow)
    const local = charges.filter(({ quota }) => quota.onOutage === 'local').map((charge) => this.#shared(charge))
    const decided = charging && !closed ? this.#local.consume(local) : this.#local.peek(local)
    let next = 0
    return charges.map(({ quota, cost }) => {
      const { limit } = quota.algorithm
      if (quota.onOutage === 'local') {
        const verdict = { ...decided[next++]!, via: 'local' } as const
        // Too much for this process's share, but not for the limit: it may be admitted when the store is back.
        return verdict.permanent && cost <= limit ? { ...verdict, permanent: false, retryAfterMs } : verdict
      }
      const open = quota.onOutage === 'open'
      return {
        allowed: open,
        limit,
        remaining: open ? limit : 0,
        retryAfterMs: open ? 0 : retryAfterMs,
        resetMs: open ? 0 : retryAfterMs,
        permanent: false,
        atMs: now,
        via: quota.onOutage,
      }
    })
  }

  /** The charge at this process's share of the limit. */
  #shared(charge: Charge): Charge {
    const { quota } = charge
    let shared = this.#shares.get(quota)
    if (!shared) {
      shared = Object.freeze({
        ...quota,
        algorithm: quota.share === 1 ? quota.algorithm : quota.algorithm.scaled(quota.share),
      })
      this.#shares.set(quota, shared)
    }
    return { ...charge, quota: shared }
  }

  /**
   * The store has charged after all. What was admitted meanwhile stays counted; what was refused is given back, and so
   * are permits, which nobody would give back otherwise.
   */
  #undo(charges: readonly Charge[], late: readonly Verdict[], decided: readonly Verdict[]): void {
    const refused = decided.some(({ allowed }, i) => !allowed && !charges[i]!.quota.shadow)
    const back = charges.flatMap((charge, i): Settlement[] =>
      late[i]!.allowed && (refused || charge.permit !== '') ? [{ charge, verdict: late[i]!, refund: charge.cost }] : [],
    )
    if (back.length === 0) return
    // Whatever the breaker says: the answer has just shown that the store is there.
    void this.#quietly(
      () => this.#store.settle(back),
      back.map(({ charge }) => charge),
    )
  }

  settle(settlements: readonly Settlement[]): MaybePromise<void> {
    const local = settlements.filter(({ verdict }) => verdict.via === 'local')
    this.#local.settle(
      local.map((one) => ({ ...one, charge: this.#shared(one.charge), verdict: { ...one.verdict, via: 'store' } })),
    )
    // While the store is out nothing is given back: that errs on the side of the limit, and permits have their lease.
    const remote = settlements.filter(
      ({ charge, verdict }) =>
        (verdict.via === 'store' || verdict.via === 'overflow') && !this.#breakerOf([charge]).open,
    )
    if (remote.length === 0) return
    return this.#quietly(
      () => this.#store.settle(remote),
      remote.map(({ charge }) => charge),
    )
  }

  renew(charges: readonly Charge[]): MaybePromise<void> {
    this.#local.renew(
      charges.map((charge) => this.#shared(charge)),
      true,
    )
    const remote = charges.filter((charge) => !this.#breakerOf([charge]).open)
    if (remote.length > 0) return this.#quietly(() => this.#store.renew(remote), remote)
  }

  /** For what no request waits for: reported where it fails, and no more. */
  #quietly(ask: () => MaybePromise<void>, charges: readonly Charge[]): MaybePromise<void> {
    try {
      const done = ask()
      if (isPromise(done)) return done.then(undefined, (error) => this.#report(error, charges))
    } catch (error) {
      this.#report(error, charges)
    }
  }

  refund(charges: readonly Charge[]): MaybePromise<void> {
    this.#local.refund(charges.map((charge) => this.#shared(charge)))
    return this.#orThrow(() => this.#store.refund(charges), charges)
  }

  reset(charges: readonly Charge[]): MaybePromise<void> {
    this.#local.reset(charges)
    return this.#orThrow(() => this.#store.reset(charges), charges)
  }

  /** For what the application asked for itself: it is told of a failure, and not kept waiting either. */
  #orThrow<T>(ask: () => MaybePromise<T>, charges: readonly Charge[]): MaybePromise<T> {
    let thrown: unknown
    const out = new SluiceError('ERR_SLUICE_STORE', 'The limit store is out. Try again when it is back.')
    const outcome = this.#asked<{ readonly value: T } | undefined>(
      () => {
        const done = ask()
        if (!isPromise(done)) return { value: done }
        return done.then(
          (value) => ({ value }),
          (error) => {
            thrown = error
            throw error
          },
        )
      },
      () => undefined,
      charges,
    )
    return chain(outcome, (done) => {
      if (!done) throw thrown === undefined ? out : new SluiceError(out.code, out.message, { cause: thrown })
      return done.value
    })
  }

  usage(): LimitStoreUsage {
    let open = 0
    for (const breaker of this.#breakers.values()) if (breaker.open) open++
    return { ...this.#store.usage(), breakersOpen: open }
  }

  close(): MaybePromise<void> {
    for (const breaker of this.#breakers.values()) breaker.close()
    this.#local.close()
    return this.#store.close()
  }
}
