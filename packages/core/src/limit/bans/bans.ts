import type { Clock } from '../../base/clock.ts'
import { optionError } from '../../base/errors.ts'
import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { checkOptions, rule } from '../../base/options.ts'
import type { Duration } from '../../base/units.ts'
import type { NaturalKey } from '../../exchange/client/natural-key.ts'
import { banOf, type PolicyCharge } from '../charge/charges.ts'
import type { LimitSink } from '../events.ts'
import { checkKey } from '../policy/check-key.ts'
import type { Policies } from '../policy/policies.ts'
import type { Policy } from '../policy/policy.ts'
import { type HeldBan, type LimitStore, subjectLength } from '../store/store.ts'
import type { Naming } from '../subject/naming.ts'
import { spanMs } from './options.ts'

/** Who is shut out: by the natural name that `check` takes, or as `bans()` and the event `banned` tell of it. */
export type BanSubject =
  | { readonly key: NaturalKey }
  | { readonly subject: string; readonly policy?: string | undefined }

export type BanRequest = BanSubject & {
  /** For how long from now: 1 ms to 366 days. In place of what is left of a ban that holds. */
  readonly for: Duration
  /** For whoever reads `bans()`: at most 200 characters, which stand in the store as they are. Clients are not told. */
  readonly reason?: string | undefined
}

/** A ban that holds. */
export interface Ban {
  readonly policy: string
  /** A keyed hash: names and addresses stand in no store. `unban` takes the whole entry. */
  readonly subject: string
  /** When it will be over. */
  readonly until: Date
  /** How often the key was shut out by now, this time included, as far as is remembered. */
  readonly times: number
  /** Made by `ban(…)` and not by refusals. */
  readonly byHand: boolean
  readonly reason?: string
}

export interface BansParts {
  readonly clock: Pick<Clock, 'wall'>
  readonly sink: LimitSink
  readonly naming: Naming
  readonly policies: Policies
  readonly storeOf: (policy: Policy) => LimitStore
}

const longestReason = 200

/** Bans by hand, and which there are. */
export class Bans {
  readonly #parts: BansParts

  constructor(parts: BansParts) {
    this.#parts = parts
  }

  ban(name: string, request: BanRequest): MaybePromise<Ban> {
    const { clock, sink, storeOf } = this.#parts
    const policy = this.#policy(name)
    checkOptions<Partial<Record<'key' | 'subject' | 'policy' | 'for' | 'reason', unknown>>>('ban', request, {
      key: rule.any,
      subject: rule.any,
      policy: rule.any,
      for: rule.any,
      reason: (text) =>
        typeof text === 'string' && text.length <= longestReason
          ? undefined
          : 'must be a text of at most 200 characters',
    })
    const charge = this.#chargeOf(policy, request)
    const forMs = spanMs('for', request.for)
    const reason = request.reason ?? ''
    return chain(storeOf(policy).ban!(charge, { forMs, reason }), (times) => {
      const subject = charge.key.slice(0, subjectLength)
      const ban = banFrom({ policy: name, subject, endsInMs: forMs, times, byHand: true, reason }, clock)
      if (!policy.shadow && sink.wants('banned')) sink.emit('banned', ban)
      return ban
    })
  }

  unban(name: string, who: BanSubject): MaybePromise<boolean> {
    const { sink, storeOf } = this.#parts
    const policy = this.#policy(name)
    const charge = this.#chargeOf(policy, who)
    return chain(storeOf(policy).unban!(charge), (lifted) => {
      const subject = charge.key.slice(0, subjectLength)
      if (lifted && !policy.shadow && sink.wants('unbanned')) sink.emit('unbanned', { policy: name, subject })
      return lifted
    })
  }

  /** The one that is over first comes first. */
  list(name?: string): MaybePromise<readonly Ban[]> {
    const { policies, storeOf } = this.#parts
    const asked =
      name === undefined ? [...policies].map(([, one]) => one).filter(({ ban }) => ban) : [this.#policy(name)]
    const byStore = new Map<LimitStore, string[]>()
    for (const policy of asked) {
      const store = storeOf(policy)
      byStore.set(store, [...(byStore.get(store) ?? []), policy.name])
    }
    const told = (held: readonly HeldBan[]): readonly Ban[] =>
      [...held].sort((a, b) => a.endsInMs - b.endsInMs).map((one) => banFrom(one, this.#parts.clock))
    const lists = [...byStore].map(([store, names]) => store.bans!(names))
    return lists.length === 1 ? chain(lists[0]!, told) : this.#together(lists, told)
  }

  #together(lists: readonly MaybePromise<readonly HeldBan[]>[], told: (held: readonly HeldBan[]) => readonly Ban[]) {
    return lists.length === 0 ? [] : Promise.all(lists).then((all) => told(all.flat()))
  }

  /** @throws SluiceError for a policy whose decisions do not ask about bans: it would be made and not obeyed */
  #policy(name: string): Policy {
    const policy = this.#parts.policies.named(name)
    if (policy.ban) return policy
    throw optionError(`${policy.where}.ban`, "must be given for a key to be shut out; 'by-hand' is enough", undefined)
  }

  #chargeOf(policy: Policy, who: BanSubject): PolicyCharge {
    if ('key' in who) {
      checkKey(who.key)
      return banOf(policy, this.#parts.naming.subjectOf(policy, who.key))
    }
    const { subject, policy: of = policy.name } = who
    if (of !== policy.name) throw optionError('policy', `must be \`${policy.name}\`, where the ban is asked for`, of)
    if (typeof subject !== 'string' || subject.length !== subjectLength || !/^[\w-]+$/.test(subject)) {
      throw optionError('subject', 'must be the `subject` of an entry of `bans()`; or give a `key`', subject)
    }
    return banOf(policy, { ban: `${subject}${policy.ban!.id}` })
  }
}

/** As it is told of. */
export function banFrom({ endsInMs, reason, ...held }: HeldBan, clock: Pick<Clock, 'wall'>): Ban {
  const ban = { ...held, until: new Date(clock.wall() + endsInMs) }
  return reason === '' ? ban : { ...ban, reason }
}
