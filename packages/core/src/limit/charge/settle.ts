import { chain } from '../../base/maybe-promise.ts'
import { ResponseContext } from '../../exchange/context.ts'
import type { BodyPlan, Exchange, ResponseHead } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { Fields } from '../../http/fields/fields.ts'
import { late } from '../policy/callbacks.ts'
import type { Policy } from '../policy/policy.ts'
import { mayHaveCome } from '../subject/advice.ts'
import type { Watch } from '../subject/watch.ts'
import { type Charging, type Made, madeOf, type PolicyCharge } from './charges.ts'
import type { LimiterParts } from './parts.ts'

/** What of an admission there is to settle. */
export interface Admitted extends Charging {
  readonly parts: LimiterParts
  readonly view: RequestView
  readonly policies: readonly Policy[]
  readonly watch: Watch | undefined
}

/**
 * The last step of an admission: sees the request to its end, and gives back what `countIf` says does not count, as soon as
 * the head is known, and concurrent permits when all is over. Each once, however the response ends.
 */
export class Settling implements Exchange {
  readonly #admission: Admitted
  #conditional: readonly Made[]
  #permits: readonly Made[]

  private constructor(admission: Admitted) {
    this.#admission = admission
    this.#permits = madeOf(admission, isPermit)
    this.#conditional = madeOf(admission, isConditional)
  }

  /** `undefined` where there is nothing to see to. */
  static of(admission: Admitted): Settling | undefined {
    if (admission.watch !== undefined && mayHaveCome(admission.watch)) return new Settling(admission)
    // By hand, as most requests leave nothing to see to.
    for (let i = 0; i < admission.charges.length; i++) {
      const charge = admission.charges[i]!
      if (isPermit(charge) || isConditional(charge)) return new Settling(admission)
    }
    return undefined
  }

  onHead(head: ResponseHead): BodyPlan {
    const conditional = this.#conditional
    this.#conditional = []
    if (conditional.length > 0) this.#judge(conditional, head.status, head.fields)
    return { mode: 'pass' }
  }

  /** Koa shows the exception. What will be made of it is not known yet, but its status is by convention what it says. */
  onError(error: unknown): undefined {
    const conditional = this.#conditional
    this.#conditional = []
    if (conditional.length > 0) this.#judge(conditional, statusOf(error), Fields.from())
  }

  #judge(conditional: readonly Made[], status: number, fields: Fields): void {
    const response = new ResponseContext(this.#admission.view, status, fields)
    const { callbacks, charger } = this.#admission.parts
    // A policy of several rates is asked once.
    const answers = new Map<PolicyCharge['policy'], Made[]>()
    for (const made of conditional) {
      const same = answers.get(made.charge.policy)
      if (same) same.push(made)
      else answers.set(made.charge.policy, [made])
    }
    for (const [policy, made] of answers) {
      const countIf = policy.countIf!
      void chain(
        callbacks.ask<unknown>(policy, 'countIf', () => countIf(response)),
        (counts) => {
          // One that threw counts, and so does one that is late unless outages are to be on the client's side.
          if (counts === late ? policy.onOutage === 'open' : !counts) charger.giveBack(made)
        },
      )
    }
  }

  /** Where no head was ever known the charge stays: guessing and going away must not be free. */
  onClose(): void {
    // Not before: a cache around the handler would take it for a read of the handler's.
    const { parts, policies, watch } = this.#admission
    if (watch) parts.advice.answered(policies, watch)
    this.#conditional = []
    const permits = this.#permits
    this.#permits = []
    if (permits.length > 0) this.#admission.parts.charger.giveBack(permits)
  }
}

const isPermit = ({ permit }: PolicyCharge): boolean => permit !== ''

const isConditional = ({ permit, policy }: PolicyCharge): boolean => permit === '' && policy.countIf !== undefined

function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const said = status ?? statusCode
  return typeof said === 'number' && Number.isInteger(said) && said >= 400 && said <= 599 ? said : 500
}
