import { type AdminOptions, type DoorRules, doorSchema, resolveRules } from '@sluice/admin'
import { checkOptions, rule } from '@sluice/core'

/** What `dashboard(sluice, …)` is given. */
export interface DashboardOptions<Request extends object = object> extends AdminOptions<Request> {
  /**
   * What may be done through the page: `true` everything, `false` nothing but looking, or a list of `'purge'`, `'limits'`, `'bans'`.
   * Default `false`.
   */
  actions?: AdminOptions['actions']
  /**
   * Whether keys that limits refuse are shown as they are (addresses, users), and not as hashes. Whoever sees the page then sees
   * who calls. Default `false`.
   */
  showKeys?: boolean | undefined
  /** How many routes are told apart; all others are counted together as `(other)`. Default 1,000. */
  maxRoutes?: number | undefined
}

/** The same, as the code reads it. */
export interface DashboardRules extends DoorRules {
  readonly showKeys: boolean
  readonly maxRoutes: number
}

/** @throws SluiceError for an option that does not exist or does not fit, and for no `authorize` outside development */
export function resolveDashboard(options: DashboardOptions<never>): DashboardRules {
  checkOptions<DashboardOptions<never>>('dashboard', options, {
    ...doorSchema,
    showKeys: rule.boolean,
    maxRoutes: rule.positiveInteger,
  })
  const { showKeys = false, maxRoutes = 1_000 } = options
  return { ...resolveRules('dashboard', options, false), showKeys, maxRoutes }
}
