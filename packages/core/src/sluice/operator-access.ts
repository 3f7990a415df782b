import type { Clock } from '../base/clock.ts'
import type { SluiceError } from '../base/errors.ts'
import type { AuditEvent } from '../base/events.ts'
import type { Tracing } from '../base/tracing/tracing.ts'
import type { Explanation } from '../cache/explain.ts'
import type { FindBase, FoundAnswers } from '../cache/find.ts'
import type { RequestView } from '../exchange/request-view.ts'
import type { Board, ServerFacts } from './backend.ts'
import type { Engine } from './engine.ts'
import { version } from './version.ts'

/** What is attached from outside, an operator's door or a tracer, needs of an instance beside its members. */
export interface OperatorAccess {
  /** `memory`, `redis`. */
  readonly backend: string
  readonly hasSecret: boolean
  /** Of Sluice. */
  readonly version: string
  /** The time of the instance's clock. Milliseconds since 1970. */
  now(): number
  /** Calls back after so long by that clock. The timer keeps no process alive. */
  after: Clock['after']
  /** For trouble that must not break anything. */
  report(error: SluiceError): void
  /** Tells the listeners of what was done. */
  audit(event: Omit<AuditEvent, 'at'>): void
  /**
   * Has spans drawn from now on.
   *
   * @returns ends that; `undefined` where somebody else draws them already
   */
  trace(tracing: Tracing): (() => void) | undefined
  /** What became of the last answer of that path, or of that route. */
  why(asked: { readonly method: string; readonly path: string; readonly route?: string | undefined }): Explanation
  /** What is stored under a URL, as a request to that host would ask for it. */
  find(url: string, base: FindBase): Promise<FoundAnswers>
  /** Where processes tell each other how they are; `undefined` where the backend has no such place. */
  readonly board: Board | undefined
  /** Calls back when the instance is closed, and waits for what that answers; at once where it is closed. */
  whenClosed(run: () => unknown): void
  /** What the hash of a subject of a limit was made of, where it is still known. */
  keyOf(policy: string, subject: string): string | undefined
  /** What the server of the backend tells; `undefined` where there is none. */
  inspect(timeoutMs: number): Promise<ServerFacts | undefined>
  /** Takes requests out of all limits: what such a request was charged so far is given back. */
  exempt(view: Pick<RequestView, 'native' | 'incoming'>): void
}

/**
 * Every copy of a surface carries it: adapters spread what they are given into objects of their own. From the registry, so
 * that a door from another copy of the package opens too.
 */
const access: unique symbol = Symbol.for('sluice.operator') as never

/** @param sluice - what `createSluice` answered, or `app.sluice`; `undefined` for what is no instance */
export const operatorAccess = (sluice: object): OperatorAccess | undefined =>
  (sluice as { [access]?: () => OperatorAccess } | undefined)?.[access]?.()

/** Puts the access on a surface. Nothing is made before somebody asks for it. */
export function giveAccess(surface: object, engine: Engine): void {
  Object.assign(surface, { [access]: () => accessTo(engine) })
}

function accessTo(engine: Engine): OperatorAccess {
  const { backend, cache, clock, events, hasSecret, limiter } = engine
  const exempting = limiter.exempt()
  return {
    backend: backend.kind,
    hasSecret,
    version,
    now: () => clock.wall(),
    after: (ms, run) => clock.after(ms, run),
    report: (error) => events.emit('error', { error }),
    audit: (event) => events.emit('audit', { ...event, at: new Date(clock.wall()) }),
    trace(tracing) {
      if (events.tracing) return undefined
      events.tracing = tracing
      return () => {
        if (events.tracing === tracing) events.tracing = undefined
      }
    },
    why: ({ method, path, route }) => cache.explain({ method, path, route }),
    find: (url, base) => cache.find(url, base),
    board: backend.board?.({ clock }),
    whenClosed: (run) => engine.whenClosed(run),
    keyOf: (policy, subject) => limiter.keyOf(policy, subject),
    inspect: async (timeoutMs) => backend.inspect?.(timeoutMs),
    exempt: (view) => void exempting.open(view as RequestView),
  }
}
