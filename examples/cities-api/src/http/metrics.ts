import { type PrometheusMetrics, prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'

type Observed = Parameters<typeof prometheus>[0]

/** What `/metrics` answers: what the cache and the limits do. An application with metrics of its own gives its registry. */
export const metricsOf = (sluice: Observed): PrometheusMetrics => prometheus(sluice, { registry: new Registry() })
