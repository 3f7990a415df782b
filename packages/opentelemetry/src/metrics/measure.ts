import {
  type Attributes,
  type BatchObservableCallback,
  context,
  type Histogram,
  type Meter,
  type Observable,
} from '@opentelemetry/api'
import { durationBoundsMs, type Figures, type FiguresSource } from '@sluice/core'
import { callAttributes, routeAttribute } from '../attributes.ts'
import { durations, failedCall, fillAttributes, type Instrument, instruments } from './instruments.ts'

export interface Measured {
  readonly source: FiguresSource
  readonly figures: Figures
  readonly meter: Meter
  /** `redis`. */
  readonly system: string
  /** On each value. */
  readonly attributes: Attributes
}

/** Makes the instruments, and has them say what the figures are. @returns ends that */
export function measure(measured: Measured): () => void {
  const ends = [observe(measured), record(measured)]
  return () => {
    for (const end of ends.splice(0)) end()
  }
}

/** One snapshot for each collection, whatever the number of instruments and readers. */
function observe({ figures, meter, attributes }: Measured): () => void {
  const all = instruments.map((instrument) => ({ instrument, observable: create(meter, instrument) }))
  const callback: BatchObservableCallback = (batch) => {
    const snapshot = figures.snapshot()
    for (const { instrument, observable } of all) {
      instrument.read(snapshot, (value, own) => batch.observe(observable, value, { ...attributes, ...own }))
    }
  }
  const observables = all.map(({ observable }) => observable)
  meter.addBatchObservableCallback(callback, observables)
  return () => meter.removeBatchObservableCallback(callback, observables)
}

function create(meter: Meter, { kind, name, unit, description }: Instrument): Observable {
  const options = { unit, description }
  if (kind === 'counter') return meter.createObservableCounter(name, options)
  return kind === 'sum'
    ? meter.createObservableUpDownCounter(name, options)
    : meter.createObservableGauge(name, options)
}

/** What takes its time is recorded in the context it happened in, from which an SDK takes exemplars. */
function record({ source, figures, meter, system, attributes }: Measured): () => void {
  const lookups = duration(meter, durations.lookup)
  const fills = duration(meter, durations.fill)
  const calls = duration(meter, durations.backend)
  const ends = [
    source.on('lookup', ({ route, result, ms }) => {
      // Who waited for another request's handler has waited for that, and not for the store.
      if (result === 'collapsed') return
      lookups.record(ms / 1_000, { ...attributes, ...routeAttribute(figures.routeLabel(route)) }, context.active())
    }),
    source.on('fill', ({ route, ms, background }) =>
      fills.record(
        ms / 1_000,
        { ...attributes, ...fillAttributes(figures.routeLabel(route), background) },
        context.active(),
      ),
    ),
    source.on('backend', ({ operation, ms, ok }) =>
      calls.record(
        ms / 1_000,
        { ...attributes, ...callAttributes(system, operation), ...(ok ? {} : failedCall) },
        context.active(),
      ),
    ),
  ]
  return () => {
    for (const end of ends.splice(0)) end()
  }
}

const boundsSeconds = durationBoundsMs.map((ms) => ms / 1_000)

function duration(meter: Meter, of: (typeof durations)[keyof typeof durations]): Histogram {
  const { name, unit, description } = of
  return meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: boundsSeconds } })
}
