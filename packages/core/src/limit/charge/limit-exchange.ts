import { isPromise } from '../../base/maybe-promise.ts'
import { ResponseContext } from '../../exchange/context.ts'
import type { BodyPlan, Exchange, ResponseHead } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { Fields } from '../../http/fields/fields.ts'
import type { Callbacks } from '../policy/callbacks.ts'
import type { Verdict } from '../store/store.ts'
import type { PolicyCharge } from './charges.ts'

/** A charge that was made. */
export interface Made {
  readonly charge: PolicyCharge
  readonly verdict: Verdict
}

/**
 * Sees a request that went on to its end: gives back what `countIf` says does not count, as soon as the head is known,
 * and concurrent permits when all is over. Each once, however the response ends.
 */
export class LimitExchange implements Exchange {
  readonly #view: RequestView
  readonly #callbacks: Callbacks
  readonly #giveBack: (made: readonly Made[]) => void
  #conditional: readonly Made[]
  #permits: readonly Made[]

  constructor(
    view: RequestView,
    made: readonly Made[],
    callbacks: Callbacks,
    giveBack: (made: readonly Made[]) => void,
  ) {
    this.#view = view
    this.#callbacks = callbacks
    this.#giveBack = giveBack
    this.#permits = made.filter(({ charge }) => charge.permit !== '')
    this.#conditional = made.filter(({ charge }) => charge.permit === '' && charge.policy.countIf !== undefined)
  }

  /** Whether there is anything to see to. */
  static needed(charges: readonly PolicyCharge[]): boolean {
    return charges.some(({ permit, policy }) => permit !== '' || policy.countIf !== undefined)
  }

  onHead(head: ResponseHead): BodyPlan {
    const conditional = this.#conditional
    this.#conditional = []
    if (conditional.length > 0) this.#judge(conditional, new ResponseContext(this.#view, head.status, head.fields))
    return { mode: 'pass' }
  }

  /** Koa shows the exception. What will be made of it is not known yet, but its status is by convention what it says. */
  onError(error: unknown): undefined {
    const conditional = this.#conditional
    this.#conditional = []
    if (conditional.length > 0) {
      this.#judge(conditional, new ResponseContext(this.#view, statusOf(error), Fields.from()))
    }
  }

  #judge(conditional: readonly Made[], response: ResponseContext): void {
    // A policy of several rates is asked once.
    const answers = new Map<PolicyCharge['policy'], Made[]>()
    for (const made of conditional) {
      const same = answers.get(made.charge.policy)
      if (same) same.push(made)
      else answers.set(made.charge.policy, [made])
    }
    for (const [policy, made] of answers) {
      const countIf = policy.countIf!
      const counts = this.#callbacks.attempt(`${policy.where}.countIf`, () => countIf(response), true)
      if (isPromise(counts)) void counts.then((yes) => (yes ? undefined : this.#giveBack(made)))
      else if (!counts) this.#giveBack(made)
    }
  }

  /** Where no head was ever known the charge stays: guessing and going away must not be free. */
  onClose(): void {
    this.#conditional = []
    const permits = this.#permits
    this.#permits = []
    if (permits.length > 0) this.#giveBack(permits)
  }
}

function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const said = status ?? statusCode
  return typeof said === 'number' && Number.isInteger(said) && said >= 400 && said <= 599 ? said : 500
}
