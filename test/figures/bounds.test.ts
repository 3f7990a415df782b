import { describe, expect, test } from '@jest/globals'
import {
  collectFigures,
  durationBoundsMs,
  Engine,
  Events,
  type InstanceEvents,
  type RequestView,
  systemClock,
} from '@sluice/core'
import { NodeRequestView } from '@sluice/node'
import { Histogram } from '../../packages/core/src/figures/histogram.ts'
import { answer } from './answer.ts'

function engineWithFigures(maxRoutes?: number) {
  const engine = new Engine({ cache: { maxBytes: '200kb' } })
  const source = {
    on: engine.events.on.bind(engine.events),
    stats: () => engine.stats(),
  }
  return { engine, figures: collectFigures(source, { maxRoutes }) }
}

/** A request as a host hands it in, without its socket. */
function requestTo(url: string, route: string | undefined, method = 'GET'): RequestView {
  const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
  const raw = { method, url, headers: { host: 'localhost:3000' }, socket }
  return Object.create(new NodeRequestView(raw as never), { route: { value: route } }) as RequestView
}

describe('the number of series', () => {
  test('100,000 URLs, and as many words of clients and handlers, add none', async () => {
    const { engine, figures } = engineWithFigures()
    // A handler for each would take most of a minute: one for each hundredth, and the others pass by.
    const pipeline = engine.cache.pipeline({ ttl: '1m', unless: (c) => !c.path.endsWith('00') })
    for (let i = 0; i < 100_000; i++) {
      const hundreds = Math.floor(i / 100)
      const view = requestTo(`/cities/${i + 100}?q=${i}`, hundreds % 2 ? '/cities/:id' : undefined)
      await answer(pipeline, view, { skip: hundreds % 4 === 0 && `${i}` })
      if (i === 1_000) expect(figures.snapshot().answers.length).toBe(5)
    }
    for (let i = 0; i < 100; i++) await answer(pipeline, requestTo('/', '/cities/:id', `VERB${i}`), {})
    const { answers, fills, notStored } = figures.snapshot()
    expect(answers).toEqual([
      { route: '(unmatched)', method: 'GET', result: 'miss', reason: '(other)', count: 250 },
      { route: '(unmatched)', method: 'GET', result: 'miss', reason: 'uri-miss', count: 250 },
      { route: '(unmatched)', method: 'GET', result: 'bypass', reason: 'unless', count: 49_500 },
      { route: '/cities/:id', method: 'GET', result: 'miss', reason: 'uri-miss', count: 500 },
      { route: '/cities/:id', method: 'GET', result: 'bypass', reason: 'unless', count: 49_500 },
      { route: '/cities/:id', method: '(other)', result: 'bypass', reason: 'method', count: 100 },
    ])
    expect(fills.map(({ route }) => route)).toEqual(['(unmatched)', '/cities/:id'])
    expect(notStored).toEqual([{ reason: '(other)', count: 250 }])
    await engine.close()
  })

  test('routes above the bound are counted together', async () => {
    const { engine, figures } = engineWithFigures(3)
    const pipeline = engine.cache.pipeline({ ttl: '1m' })
    for (let i = 0; i < 10; i++) await answer(pipeline, requestTo(`/r${i}/1`, `/r${i}/:id`), {})
    const { answers, fills } = figures.snapshot()
    expect(answers.map(({ route, count }) => [route, count])).toEqual([
      ['/r0/:id', 1],
      ['/r1/:id', 1],
      ['/r2/:id', 1],
      ['(other)', 7],
    ])
    expect(fills.map(({ route }) => route)).toEqual(['/r0/:id', '/r1/:id', '/r2/:id', '(other)'])
    await engine.close()
  })

  test('a bound that is none is refused', () => {
    const { engine } = engineWithFigures()
    const source = { on: engine.events.on.bind(engine.events), stats: () => engine.stats() }
    expect(() => collectFigures(source, { maxRoutes: 0 })).toThrow(/maxRoutes/)
    expect(() => collectFigures(source, { maxRoute: 3 } as never)).toThrow(/maxRoutes/)
  })
})

describe('collectFigures', () => {
  test('listens to nothing more once it is stopped, and keeps what it has', async () => {
    const { engine, figures } = engineWithFigures()
    const pipeline = engine.cache.pipeline({ ttl: '1m' })
    await answer(pipeline, requestTo('/1', '/:id'), {})
    figures.stop()
    await answer(pipeline, requestTo('/2', '/:id'), {})
    expect(figures.snapshot().answers).toMatchObject([{ count: 1 }])
    const heard = ['answer', 'fill', 'backend', 'compressed', 'invalidated', 'error'] as const
    expect(heard.filter((name) => engine.events.wants(name))).toEqual([])
    await engine.close()
  })

  test('a snapshot is a copy', async () => {
    const { engine, figures } = engineWithFigures()
    const before = figures.snapshot()
    await answer(engine.cache.pipeline({ ttl: '1m' }), requestTo('/1', '/:id'), {})
    expect([before.answers.length, before.fills.length, before.stats.cache.misses]).toEqual([0, 0, 0])
    await engine.close()
  })
})

describe('the histogram', () => {
  test('counts each duration under the lowest bound that holds it', () => {
    const histogram = new Histogram()
    for (const bound of durationBoundsMs) histogram.observe(bound)
    histogram.observe(10_000.1)
    histogram.observe(0)
    const { counts, count, sumMs } = histogram.read()
    expect(counts).toEqual([2, ...durationBoundsMs.slice(1).map(() => 1), 1])
    expect(count).toBe(durationBoundsMs.length + 2)
    expect(sumMs).toBeCloseTo(durationBoundsMs.reduce((a, b) => a + b) + 10_000.1)
  })

  test('goes from a tenth of a millisecond to ten seconds', () => {
    expect([durationBoundsMs[0], durationBoundsMs.at(-1)]).toEqual([0.1, 10_000])
    expect([...durationBoundsMs].sort((a, b) => a - b)).toEqual(durationBoundsMs)
  })
})

describe('events', () => {
  test('none is made where nobody listens, and no clock is read for one', async () => {
    let read = 0
    const clock = { ...systemClock(), precise: () => ++read }
    const engine = new Engine({ clock })
    const made: string[] = []
    const { emit } = engine.events
    engine.events.emit = (name, event) => {
      made.push(name)
      emit.call(engine.events, name, event)
    }
    const all = async (): Promise<void> => {
      const pipeline = engine.cache.pipeline({ ttl: '1m' })
      for (const method of ['GET', 'GET', 'POST']) await answer(pipeline, requestTo('/1', '/:id', method), {})
      await answer(pipeline, requestTo('/2', '/:id'), { skip: 'today' })
      await engine.cache.invalidate({ all: true }, 'purge')
    }
    await all()
    expect([made, read]).toEqual([[], 0])
    engine.events.on('answer', () => {})
    engine.events.on('fill', () => {})
    await all()
    expect(made).toEqual(['fill', 'answer', 'answer', 'answer', 'answer', 'fill'])
    expect(read).toBe(4)
    await engine.close()
  })

  test('a listener added or taken away while all are told has its effect from the next event on', () => {
    const events = new Events<InstanceEvents>()
    const heard: string[] = []
    const tell = () => events.emit('invalidated', { tags: [], mode: 'purge' })
    const off = events.on('invalidated', () => {
      heard.push('first')
      off()
      events.on('invalidated', () => heard.push('late'))
    })
    const end = events.on('invalidated', () => heard.push('second'))
    tell()
    expect(heard.splice(0)).toEqual(['first', 'second'])
    tell()
    expect(heard).toEqual(['second', 'late'])
    end()
    end()
    expect([events.wants('invalidated'), events.wants('answer')]).toEqual([true, false])
  })
})
