import type { Clock } from '../../base/clock.ts'
import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import type { Opening, Reply } from '../../exchange/exchange.ts'
import { leadsBack, locationValue } from '../../http/location.ts'
import { type Callbacks, late, threw } from '../policy/callbacks.ts'
import type { Denial, DenialBody } from '../policy/options.ts'
import type { Policy } from '../policy/policy.ts'
import { isErrorStatus, locationRule, statusRule } from '../policy/refusing.ts'
import { denialReply, problemOf, type QuotaVerdict, quotaFields } from './answer.ts'
import { LimitError } from './limit-error.ts'

interface Parts {
  readonly callbacks: Callbacks
  readonly clock: Pick<Clock, 'wall'>
}

/** A refusal before it is put in words: what there is to say, and of whom. */
export interface Refusal {
  readonly denial: Denial
  readonly told: readonly QuotaVerdict[]
  /** Whose wish it is how the refusal is answered; `undefined` where no policy that refuses has one. */
  readonly policy: Policy | undefined
}

/**
 * How a refusal is answered: as the policy says (`refuse`, `status`, `redirect`, `respond`), and where what it says cannot be
 * had, as ever.
 */
export function refusalOf({ callbacks, clock }: Parts, { denial, told, policy }: Refusal): MaybePromise<Opening> {
  const replying = (reply: Reply): Opening => ({ kind: 'reply', reply })
  const refusing = policy?.refusing
  if (!policy || !refusing) return replying(denialReply(denial, { told, clock }))
  const { asError, redirect, respond, status } = refusing

  const nonsense = (option: string, rule: string, given: unknown): undefined =>
    void callbacks.nonsense(`${policy.where}.${option}`, rule.replace('must be', 'must answer'), given)

  const withStatus = (chosen: number): MaybePromise<Opening> => {
    const standard = (): Reply => denialReply(denial, { told, clock }, { status: chosen })
    const said: Denial = chosen === denial.status ? denial : { ...denial, status: chosen }
    if (asError) {
      const reply = standard()
      return { kind: 'error', reply, error: new LimitError(`${problemOf(denial).title}.`, said, reply) }
    }
    if (!respond) return replying(standard())
    const own = (body: DenialBody): Reply => denialReply(denial, { told, clock }, { status: chosen, body })
    return chain(
      callbacks.ask<unknown>(policy, 'respond', () => respond(said)),
      (body) => {
        if (body === undefined || body === threw || body === late) return replying(standard())
        const reply = callbacks.ask(policy, 'respond', () => own(body as DenialBody))
        return replying(reply === threw || reply === late ? standard() : (reply as Reply))
      },
    )
  }

  const elsewhere = (given: unknown): Opening | undefined => {
    // It may send some elsewhere and answer others: programs, say, that follow no page.
    if (given === undefined || given === null || given === threw || given === late) return undefined
    const location = typeof given === 'string' ? locationValue(given) : undefined
    if (location === undefined) return nonsense('redirect', locationRule, given)
    // The page itself may be refused by the same limit, and would send them round in circles.
    const { authority, path } = denial.request
    return leadsBack({ authority, path }, location) ? undefined : replying(redirection(location, told, clock))
  }

  if (redirect !== undefined) {
    const given =
      typeof redirect === 'string' ? redirect : callbacks.ask<unknown>(policy, 'redirect', () => redirect(denial))
    return chain(given, (to) => elsewhere(to) ?? withStatus(denial.status))
  }
  if (typeof status !== 'function') return withStatus(status ?? denial.status)
  return chain(
    callbacks.ask<unknown>(policy, 'status', () => status(denial)),
    (given) => {
      if (isErrorStatus(given)) return withStatus(given)
      if (given !== threw && given !== late) nonsense('status', statusRule, given)
      return withStatus(denial.status)
    },
  )
}

/**
 * See Other (RFC 9110 §15.4.4): whatever was asked for and by which method, there is something else to GET. A 302 leaves the
 * method open, and a 307 would have the refused request made again over there. No Retry-After: of a redirection it says
 * how long to wait before following it (§10.2.3), which is not what is meant; `t` of RateLimit tells the wait.
 */
function redirection(location: string, told: readonly QuotaVerdict[], clock: Pick<Clock, 'wall'>): Reply {
  const body = Buffer.from(`See ${location}\n`)
  const fields = ['Content-Type', 'text/plain; charset=utf-8', 'Cache-Control', 'no-store', 'Location', location]
  return {
    status: 303,
    fields: [...fields, ...quotaFields(told, clock), 'Content-Length', String(body.byteLength)],
    body,
  }
}
