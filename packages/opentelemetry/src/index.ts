/** Metrics and spans of Sluice on the API of OpenTelemetry. See docs/guide/traces.md. */
export { type Attachment, type OpenTelemetryOptions, opentelemetry } from './opentelemetry.ts'
