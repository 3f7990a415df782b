/** Metrics of Sluice on prom-client. See docs/guide/metrics.md. */
export type { Exposition } from './exposition.ts'
export { type PrometheusMetrics, type PrometheusOptions, prometheus } from './prometheus.ts'
