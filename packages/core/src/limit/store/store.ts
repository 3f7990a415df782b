import type { MaybePromise } from '../../base/maybe-promise.ts'
import type { AlgorithmKind, Verdict } from '../algorithms/algorithm.ts'
import type { AnyAlgorithm } from '../algorithms/algorithm-for.ts'
import type { ByHand } from '../bans/ban.ts'
import type { Rate } from '../policy/rate.ts'

export type { Verdict } from '../algorithms/algorithm.ts'

/** One thing that is counted: a policy's rate. A policy of several rates has several, charged together. */
export interface Quota {
  /** The policy's name. */
  readonly policy: string
  /** What the quota is called in answers: the policy's name, with a number behind it where it has several rates. */
  readonly name: string
  /**
   * What tells its states apart from those of every other quota: the policy and which of its rates, but not how much that
   * is. A rate that is changed finds what was used. Part of every key.
   */
  readonly id: string
  readonly algorithm: AnyAlgorithm
  /** Counted and reported, but never a reason to refuse. */
  readonly shadow: boolean
  /** What to do while a remote store is out. */
  readonly onOutage: 'open' | 'closed' | 'local'
  /** The part of the limit that holds in memory while a remote store is out and `onOutage` is `local`. */
  readonly share: number
  /** How many units a process may take from a remote store at a time; 0: each as it is needed. */
  readonly lease: number
}

/** Some units of one quota for one subject. */
export interface Charge {
  readonly quota: Quota
  /** {@link subjectLength} characters that stand for the subject (a keyed hash), then what tells the quota. */
  readonly key: string
  /** A whole number, 0 or more; 0 where a ban is asked about, behind the charges of its policy. */
  readonly cost: number
  /** The name of a concurrent permit, unique among all processes; `''` for quotas of other kinds. */
  readonly permit: string
}

/** The length of a subject's hash: 22 characters of base64url, 132 bits. Keys of one subject begin alike. */
export const subjectLength = 22

/** A ban that holds. */
export interface HeldBan {
  readonly policy: string
  /** {@link subjectLength} characters that stand for the subject. */
  readonly subject: string
  readonly endsInMs: number
  readonly times: number
  readonly byHand: boolean
  /** What was said where it was made by hand, else `''`. */
  readonly reason: string
}

/** A charge that was made, and how much of it to give back (all of it, for a concurrent permit). */
export interface Settlement {
  readonly charge: Charge
  readonly verdict: Verdict
  readonly refund: number
}

/**
 * Where counts are kept. `consume` decides about all its charges together: they are all made, or none is. (A charge of
 * a shadow quota takes no part in that: it is made where it fits and the others are made.) No key comes twice in a call.
 */
export interface LimitStore {
  /**
   * `local`: decides at once, in this process, and cannot fail. `remote`: answers with promises, which may be late or
   * rejected; the limiter guards it with a deadline and a breaker.
   */
  readonly kind: 'local' | 'remote'
  /** What keys are hashed with, where every process that shares the store must use the same and none was configured. */
  readonly secret?: string | undefined
  /** Remote stores: how long a decision may take, in milliseconds, where the limiter was not told. Default 100. */
  readonly deadlineMs?: number | undefined
  /** The rate the store has of its own: policies on it may leave theirs out. */
  readonly rate?: Rate | undefined
  /** The algorithm of policies on it that name none. */
  readonly algorithm?: AlgorithmKind | undefined
  /** Why the store cannot count this way, as a clause (`must be …`); `undefined` where it can. Asked at start-up. */
  refuses?(algorithm: AnyAlgorithm): string | undefined
  /** One verdict per charge, in order. Where one refuses, the others' verdicts tell what is left for them, uncharged. */
  consume(charges: readonly Charge[]): MaybePromise<readonly Verdict[]>
  /**
   * Remote stores: what this process can decide without asking anybody (a key that is known to be used up, units it has
   * taken in advance), else `undefined`. Asked first, also while the store is out; what it charges is charged.
   */
  decided?(charges: readonly Charge[]): readonly Verdict[] | undefined
  /**
   * Remote stores of several servers, which fail one by one: those that these charges need, as any text. Decisions go on
   * without the servers that are out, and with the others. There should be few such texts. Default: all are one.
   */
  partOf?(charges: readonly Charge[]): string
  /**
   * Remote stores: resolves when the part that these charges need answers and takes what is written, rejects while it does
   * not. Asked again and again while that part is out, so that the first request after an outage finds it in use. Default:
   * now and then a request is sent to see.
   */
  probe?(charges: readonly Charge[]): Promise<unknown>
  /** What `consume` does, for a single charge, where that is cheaper. Stores in this process only. */
  consumeOne?(charge: Charge): Verdict
  /** What `consume` would answer, changing nothing. */
  peek(charges: readonly Charge[]): MaybePromise<readonly Verdict[]>
  /** Gives back. Never more than was taken; a concurrent permit once, however often it is asked. */
  settle(settlements: readonly Settlement[]): MaybePromise<void>
  /**
   * Prolongs the leases of concurrent permits that are still in use. `alive`: also of those whose lease is over, where the
   * store is of this process alone: nobody else can have been given them.
   */
  renew(charges: readonly Charge[], alive?: boolean): MaybePromise<void>
  /** Gives up the units of a charge that was made without keeping its verdict: the newest ones of that key. */
  refund(charges: readonly Charge[]): MaybePromise<void>
  /** Forgets what these keys have used. */
  reset(charges: readonly Charge[]): MaybePromise<void>
  /**
   * Forgets what all keys of that policy have used, where the store can; for how many subjects there was something. `subject`: the
   * first {@link subjectLength} characters of its keys, to forget those of one subject only.
   */
  resetAll?(policy: string, subject?: string): MaybePromise<number>
  /**
   * Shuts the key of a ban out by hand, in all processes, in place of a ban that holds; for how many times it was by now.
   * Stores without these three keep no bans, and policies on them can have none.
   */
  ban?(charge: Charge, by: ByHand): MaybePromise<number>
  /** Forgets all about the key of a ban, in all processes; whether it was shut out. */
  unban?(charge: Charge): MaybePromise<boolean>
  /** The bans of these policies that hold now. Never keeps decisions waiting for as long as that takes. */
  bans?(policies: readonly string[]): MaybePromise<readonly HeldBan[]>
  /** For `stats()`. */
  usage(): LimitStoreUsage
  close(): MaybePromise<void>
}

export interface LimitStoreUsage {
  /** Keys held now, where the store knows; not counting the reserve for newcomers. */
  readonly entries: number
  /** How many may be; `undefined` where the store has no cap of its own. */
  readonly maxEntries?: number | undefined
  /** Keys that left before their quota was full again, to make room. */
  readonly evictions: number
  /** Decisions taken from the shared overflow bucket. */
  readonly overflowed: number
  /** Remote stores: how many parts of them are known to be out, so that nobody is sent there. */
  readonly breakersOpen?: number | undefined
}
