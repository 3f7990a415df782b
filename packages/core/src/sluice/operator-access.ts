import type { SluiceError } from '../base/errors.ts'
import type { AuditEvent } from '../base/events.ts'
import type { Tracing } from '../base/tracing/tracing.ts'
import type { Explanation } from '../cache/explain.ts'
import type { RequestView } from '../exchange/request-view.ts'
import type { ServerFacts } from './backend.ts'
import type { Engine } from './engine.ts'

/** What is attached from outside, an operator's door or a tracer, needs of an instance beside its members. */
export interface OperatorAccess {
  /** `memory`, `redis`. */
  readonly backend: string
  readonly hasSecret: boolean
  /** The time of the instance's clock. Milliseconds since 1970. */
  now(): number
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
    now: () => clock.wall(),
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
    inspect: async (timeoutMs) => backend.inspect?.(timeoutMs),
    exempt: (view) => void exempting.open(view as RequestView),
  }
}
