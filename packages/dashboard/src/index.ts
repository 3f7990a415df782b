/** A live page of what Sluice does. See docs/guide/dashboard.md. */
export { dashboard } from './dashboard.ts'
export type { DashboardOptions } from './options.ts'
