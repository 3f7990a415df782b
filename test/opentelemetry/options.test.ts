import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { type OpenTelemetryOptions, opentelemetry } from '@sluice/opentelemetry'
import { Telemetry } from './support.ts'

const sluice = createSluice()
afterAll(() => sluice.close())

describe('opentelemetry(sluice, options)', () => {
  test.each<[string, unknown, RegExp]>([
    [
      'an option that there is not',
      { metricsProvider: {} },
      /There is no option `opentelemetry.metricsProvider`. Did you mean/,
    ],
    ['metrics', { metrics: 'yes' }, /`opentelemetry.metrics` must be true or false; received "yes"/],
    [
      'spans of another name',
      { spans: ['fills'] },
      /`opentelemetry.spans` must be true, false or an array of 'lookup', 'wait'/,
    ],
    ['one span without an array', { spans: 'fill' }, /`opentelemetry.spans` must be/],
    [
      'a tracer in place of its provider',
      { tracerProvider: {} },
      /`opentelemetry.tracerProvider` must be a TracerProvider/,
    ],
    ['no meter provider', { meterProvider: null }, /`opentelemetry.meterProvider` must be a MeterProvider/],
    ['a bound that is none', { maxRoutes: 0 }, /`opentelemetry.maxRoutes` must be a whole number above 0; received 0/],
    [
      'attributes that are none',
      { attributes: { at: new Date(0) } },
      /`opentelemetry.attributes` must be an object of texts/,
    ],
    ['no object', 5, /`opentelemetry` must be an object/],
  ])('%s is refused at the start', (_, options, message) => {
    expect(() => opentelemetry(sluice, options as OpenTelemetryOptions)).toThrow(message)
    // And nothing is left behind.
    opentelemetry(sluice, new Telemetry().options).stop()
  })

  test.each([[undefined], [null], [{}], ['sluice']])('%p is no instance', (given) => {
    expect(() => opentelemetry(given as never)).toThrow(/must be given what `createSluice` answered, or `app.sluice`/)
  })

  test('spans are drawn once; of figures there may be several who read them', () => {
    const first = opentelemetry(sluice, new Telemetry().options)
    const second = new Telemetry().options
    expect(() => opentelemetry(sluice, second)).toThrow(/`opentelemetry.spans` must be false, since spans .* already/)
    opentelemetry(sluice, { ...second, spans: false }).stop()
    first.stop()
    opentelemetry(sluice, second).stop()
  })

  test('names itself to providers with its version', () => {
    const manifest = JSON.parse(
      readFileSync(new URL('../../packages/opentelemetry/package.json', import.meta.url), 'utf8'),
    ) as { name: string; version: string }
    const asked: unknown[] = []
    const { tracerProvider, meterProvider } = new Telemetry()
    const attachment = opentelemetry(sluice, {
      tracerProvider: {
        getTracer(...of) {
          asked.push(of)
          return tracerProvider.getTracer(...of)
        },
      },
      meterProvider: {
        getMeter(...of) {
          asked.push(of)
          return meterProvider.getMeter(...of)
        },
      },
    })
    expect(asked).toEqual([
      [manifest.name, manifest.version],
      [manifest.name, manifest.version],
    ])
    attachment.stop()
  })
})
