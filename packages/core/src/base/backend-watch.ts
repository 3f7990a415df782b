import { type Clock, preciseTime } from './clock.ts'
import type { BackendOperation, SluiceEvents } from './events.ts'

/** Where calls of a backend are told of. */
interface BackendSink {
  wants(name: 'backend'): boolean
  emit(name: 'backend', event: SluiceEvents['backend']): void
}

/**
 * Begins to measure a call of a backend.
 *
 * @returns is told how it ended; `undefined` where nobody listens
 */
export function watchBackend(
  sink: BackendSink | undefined,
  clock: Clock,
  operation: BackendOperation,
): ((ok: boolean) => void) | undefined {
  if (!sink?.wants('backend')) return undefined
  const since = preciseTime(clock)
  return (ok) => sink.emit('backend', { operation, ms: preciseTime(clock) - since, ok })
}
