import type { Opening } from './exchange.ts'

/** Runs what stands behind a stage that lets a request go on: the stages behind it, and the handler. */
export function runBehind<T>(opening: Opening, run: () => T): T {
  const within = opening.kind === 'proceed' ? opening.exchange?.within : undefined
  return within ? within(run) : run()
}
