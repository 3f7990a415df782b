import type { SluiceEvents } from '../base/events.ts'
import type { Tracing } from '../base/tracing/tracing.ts'
import type { Verdict } from './store/store.ts'

/** One policy's part in a decision. */
export interface PolicyVerdict {
  /** The policy's name; with a number behind it where the policy has several rates: `search`, `search-2`. */
  readonly policy: string
  readonly verdict: Verdict
}

/** A ban that has begun. */
export interface BanEvent {
  readonly policy: string
  readonly subject: string
  /** When it will be over. */
  readonly until: Date
  /** How often the key was shut out by now, as far as is remembered. */
  readonly times: number
  readonly byHand: boolean
  /** What was said where it was made by hand. */
  readonly reason?: string
}

/** What `sluice.on(name, listener)` can be told of limits. No event carries an address or another key. */
export interface LimitEvents extends Pick<SluiceEvents, 'error' | 'backend'> {
  /** A request went on. */
  allowed: { readonly route: string | undefined; readonly policies: readonly PolicyVerdict[] }
  /** A request was refused; `violated` names the policies that did it. */
  denied: {
    readonly route: string | undefined
    readonly policies: readonly PolicyVerdict[]
    readonly violated: readonly string[]
    /** Of each of them whom it has refused: the hash that `bans()` shows too; empty where it did not come to counting. */
    readonly subjects: readonly string[]
  }
  /** A request went on that a shadow policy would have refused. */
  'shadow-denied': { readonly route: string | undefined; readonly violated: readonly string[] }
  /**
   * A charge brought what is used of a quota to its policy's `warnAt`: once for each time that happens, not for the requests that
   * follow. Of shadow policies too.
   */
  'near-limit': PolicyVerdict & { readonly route: string | undefined }
  /**
   * A request was delayed, and this is what became of it: it went on, was refused after all, or its client left meanwhile.
   * `policies` are those of its policies that delay.
   */
  delayed: {
    readonly route: string | undefined
    readonly policies: readonly string[]
    readonly waitedMs: number
    readonly outcome: 'admitted' | 'refused' | 'left'
  }
  /**
   * A key was shut out: by its refusals, told once, by the process whose answer was the first of them; or by hand, told by the
   * process that was asked to. `subject` is a hash that `unban` understands. Not told of shadow policies.
   */
  banned: BanEvent
  /** A ban was lifted by hand, in this process. */
  unbanned: { readonly policy: string; readonly subject: string }
  /** The store failed or was late, and the policies' `onOutage` decided. */
  'store-error': { readonly error: unknown; readonly policies: readonly string[] }
}

/** Where a limiter reports: an `Events` of an instance, or anything shaped like it. */
export interface LimitSink {
  readonly tracing?: Tracing | undefined
  /** Whether anybody listens: without listeners no event is made. */
  wants(name: keyof LimitEvents): boolean
  emit<Name extends keyof LimitEvents>(name: Name, event: LimitEvents[Name]): void
}

/** For limiters that report to nobody. */
export const nobody: LimitSink = Object.freeze({ wants: () => false, emit: () => undefined })
