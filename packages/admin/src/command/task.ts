import type { Given } from './args.ts'
import type { Output } from './print.ts'

/** What a command works with. */
export interface Task {
  readonly given: Given
  readonly env: NodeJS.ProcessEnv
  readonly io: Output
  readonly signal: AbortSignal | undefined
}
