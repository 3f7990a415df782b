import { describe, expect, test } from '@jest/globals'
import type { SluiceEvents } from '@sluice/core'
import { collectFigures, Events } from '@sluice/core'
import { createSluice } from '@sluice/node'
import { LookUpSamples } from '../../packages/core/src/cache/lookup/look-up-samples.ts'
import { counted } from '../hosts/harness/handlers.ts'
import { describeHosts, testClock } from '../hosts/harness/host.ts'

describeHosts('look-ups', (host) => {
  const routes = [{ path: '/c/:id', cache: { ttl: '1h', staleWhileRevalidate: '1h' }, handler: counted() }] as const

  test('are told of where they found an answer, and by what was asked for', async () => {
    const app = await host.boot({ routes })
    const told: SluiceEvents['lookup'][] = []
    app.sluice.on('lookup', (event) => told.push(event))
    await app.get('/c/1?a=b')
    expect(told).toEqual([])
    await app.get('/c/1?a=b')
    await app.request('/c/1?a=b', { method: 'HEAD' })
    await app.clock.advance(3_600_001)
    await app.get('/c/1?a=b')
    const route = host.framework === 'node' ? '(unmatched)' : '/c/:id'
    const one = { route, method: 'GET', url: '/c/1?a=b', result: 'hit', ms: expect.any(Number), weight: 1 }
    expect(told).toEqual([one, { ...one, method: 'HEAD' }, { ...one, result: 'stale' }])
  })
})

describe('the sample', () => {
  function samplerAt(perSecond: number, events = new Events<SluiceEvents>()) {
    let now = 0
    const clock = { ...testClock(), precise: () => now }
    const samples = new LookUpSamples(clock, events)
    let [weight, measured] = [0, 0]
    return {
      run(count: number) {
        for (let i = 0; i < count; i++) {
          now += 1_000 / perSecond
          const sample = samples.begin()
          if (!sample) continue
          measured++
          weight += sample.weight
        }
        return { weight, measured }
      },
    }
  }

  test('is nothing while nobody listens', () => {
    expect(samplerAt(10).run(100)).toEqual({ weight: 0, measured: 0 })
  })

  test.each([1, 50, 150])('is all of them at %i a second', (perSecond) => {
    const events = new Events<SluiceEvents>()
    events.on('lookup', () => {})
    expect(samplerAt(perSecond, events).run(2_000)).toEqual({ weight: 2_000, measured: 2_000 })
  })

  test.each([2_000, 20_000, 200_000])('is about two hundred a second of %i, and stands for all', (perSecond) => {
    const events = new Events<SluiceEvents>()
    events.on('lookup', () => {})
    const sampler = samplerAt(perSecond, events)
    const { weight, measured } = sampler.run(perSecond * 20)
    expect(measured / 20).toBeGreaterThan(50)
    expect(measured / 20).toBeLessThan(450)
    expect(Math.abs(weight - perSecond * 20) / (perSecond * 20)).toBeLessThan(0.05)
  })

  test('is counted as often as it weighs', async () => {
    const sluice = createSluice()
    const figures = collectFigures(sluice)
    const { lookups } = figures.snapshot()
    expect(lookups).toEqual([])
    figures.stop()
    await sluice.close()
  })
})
