import { Registry, type RegistryContentType } from 'prom-client'
import { type Format, formatFor } from './negotiate.ts'

/** An answer to a scraper, for any framework. */
export interface Exposition {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const contentTypes: Readonly<Record<Format, RegistryContentType>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/**
 * Writes everything a registry has, in the format that is asked for. The registry is left as it is: prom-client writes OpenMetrics
 * from registries of that kind alone, and renames their counters for good.
 */
export async function expose(registry: Registry<RegistryContentType>, accept: string | undefined): Promise<Exposition> {
  const format = formatFor(accept)
  const contentType = contentTypes[format]
  const written = new Registry<RegistryContentType>()
  written.setContentType(contentType)
  for (const metric of await registry.getMetricsAsJSON()) {
    const { name, type } = metric as unknown as { name: string; type: string }
    const get = (): object => {
      const called = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
      return { ...metric, name: called }
    }
    written.registerMetric({ name, type, get } as never)
  }
  const body = await written.metrics()
  const headers = { 'Content-Type': contentType, 'Cache-Control': 'no-store', Vary: 'Accept' }
  return { headers, body }
}
