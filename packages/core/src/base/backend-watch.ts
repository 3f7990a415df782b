import { type Clock, preciseTime } from './clock.ts'
import type { BackendOperation, SluiceEvents } from './events.ts'
import { type Tracing, within } from './tracing/tracing.ts'

/** Where calls of a backend are told of. */
interface BackendSink {
  readonly tracing?: Tracing | undefined
  wants(name: 'backend'): boolean
  emit(name: 'backend', event: SluiceEvents['backend']): void
}

/** Is told how a call ended, and of one that failed why. */
type CallEnd = (ok: boolean, error?: unknown) => void

/** When a call begins, where anybody wants to know how long it takes. */
export const callBegins = (sink: BackendSink, clock: Clock): number | undefined =>
  sink.tracing !== undefined || sink.wants('backend') ? preciseTime(clock) : undefined

/**
 * Watches a call of a backend that has answered with a promise.
 *
 * @param since - from `callBegins`
 * @returns `undefined` where nobody listens
 */
export function watchBackend(
  sink: BackendSink,
  clock: Clock,
  operation: BackendOperation,
  since: number | undefined,
): CallEnd | undefined {
  if (since === undefined) return undefined
  const span = sink.tracing?.begin('backend', { operation }, preciseTime(clock) - since)
  return (ok, error) => {
    const tell = (): void => sink.emit('backend', { operation, ms: preciseTime(clock) - since, ok })
    within(span, tell)
    if (!ok) span?.fail('ERR_SLUICE_STORE', error)
    span?.end()
  }
}
