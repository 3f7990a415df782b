import { type AdminOptions, bearer } from '@sluice/admin'
import type { Settings } from '../settings.ts'

/** Where operators find the door. */
export const operatorsPath = '/ops'

/**
 * Who may come in: with OPS_TOKEN who sends it, and without, in development, who sits at this machine. Otherwise there is no
 * door.
 */
export function operatorsOf({ operatorToken, isDevelopment }: Settings): AdminOptions | undefined {
  if (operatorToken !== undefined) return { authorize: bearer(operatorToken, 'operator') }
  return isDevelopment ? {} : undefined
}
