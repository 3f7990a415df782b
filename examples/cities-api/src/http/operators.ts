import { type AdminOptions, bearer } from '@sluice/admin'
import type { DashboardOptions } from '@sluice/dashboard'
import type { Settings } from '../settings.ts'

/** Where operators find the door, and the live page. */
export const operatorsPath = '/ops'
export const pagePath = '/sluice'

/**
 * Who may come in: with OPS_TOKEN who sends it, and without, in development, who sits at this machine. Otherwise there is no
 * door.
 */
export function operatorsOf({ operatorToken, isDevelopment }: Settings): AdminOptions | undefined {
  if (operatorToken !== undefined) return { authorize: bearer(operatorToken, 'operator') }
  return isDevelopment ? {} : undefined
}

/** The same people may look at the page, and purge from it. */
export function pageOf(settings: Settings): DashboardOptions | undefined {
  const operators = operatorsOf(settings)
  return operators && { ...operators, actions: true }
}
