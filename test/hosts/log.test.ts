import { Writable } from 'node:stream'
import { expect, jest, test } from '@jest/globals'
import { pinoHttp } from 'pino-http'
import { says } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

interface Line {
  readonly level: string
  readonly message: unknown
  readonly fields: Readonly<Record<string, unknown>>
}

/** A logger in the manner of `console`, and what was written to it. */
function lines() {
  const written: Line[] = []
  const at = (level: string) => (message: unknown, fields: Readonly<Record<string, unknown>>) =>
    void written.push({ level, message, fields })
  const of = (event: string) => written.filter(({ fields }) => fields.event === event)
  return { written, of, logger: { info: at('info'), warn: at('warn'), error: at('error') } }
}

describeHosts('sluice.log', (host) => {
  const boot = () =>
    host.boot({
      sluice: { limits: { few: '2/min' } },
      routes: [
        { path: '/private', cache: { ttl: '1m' }, handler: says({ fields: { 'Cache-Control': 'no-store' } }) },
        { path: '/user', cache: { ttl: '1m' }, handler: (c) => c.send(`for ${c.header('authorization')}`) },
        { path: '/cities/:id', cache: { ttl: '1m', tags: ['city-secret'] }, handler: says({ body: 'x' }) },
        { path: '/few', limit: ['few'], handler: says({ body: 'x' }) },
      ],
    })

  test('a fact is written once, and after a while how often it came again', async () => {
    const app = await boot()
    const { logger, of } = lines()
    app.sluice.log(logger, { every: '10s' })
    for (let i = 0; i < 5; i++) await app.get('/private')
    for (let i = 0; i < 6; i++) await app.get('/few')
    expect(of('refused').map(({ level, fields }) => [level, fields])).toEqual([
      ['info', expect.objectContaining({ event: 'refused', reason: 'no-store' })],
    ])
    expect(of('denied').map(({ level, fields }) => [level, fields])).toEqual([
      ['warn', expect.objectContaining({ event: 'denied', policies: ['few'] })],
    ])
    await app.clock.advance(10_000)
    expect(of('refused').map(({ fields }) => fields.again)).toEqual([undefined, 4])
    expect(of('denied').map(({ fields }) => fields.again)).toEqual([undefined, 3])
    await app.clock.advance(10_000)
    expect(of('refused')).toHaveLength(2)
    await app.get('/private')
    expect(of('refused').map(({ fields }) => fields.again)).toEqual([undefined, 4, undefined])
  })

  test('no line holds a key, a cookie, an address, a tag or what was read', async () => {
    const app = await boot()
    const { logger, written } = lines()
    app.sluice.log(logger)
    await app.get('/user', { authorization: 'Bearer s3cret', cookie: 'sid=s3cret-cookie' })
    await app.get('/cities/s3cret-7')
    await app.sluice.purge({ tags: ['city-secret'] })
    await app.sluice.purge({ url: '/cities/s3cret-7' })
    for (let i = 0; i < 4; i++) await app.get('/few')
    expect(new Set(written.map(({ fields }) => fields.event))).toEqual(
      new Set(['guard', 'refused', 'invalidated', 'denied']),
    )
    expect(JSON.stringify(written)).not.toMatch(/s3cret|city-secret|127\.0\.0\.1|::1/)
  })

  test('`redact: false` adds tags', async () => {
    const app = await boot()
    const { logger, of } = lines()
    app.sluice.log(logger, { redact: false })
    await app.sluice.purge({ tags: ['city-secret'] })
    expect(of('invalidated')[0]).toMatchObject({
      fields: { tags: [expect.stringContaining('city-secret')], mode: 'purge' },
    })
  })

  test('no more different lines than `most`, and then how many were left out', async () => {
    const app = await boot()
    const { logger, written } = lines()
    const stop = app.sluice.log(logger, { most: 1 })
    await app.get('/private')
    for (let i = 0; i < 4; i++) await app.get('/few')
    stop()
    expect(written.map(({ fields }) => fields.event)).toEqual(['refused', 'log'])
    expect(written[1]!.fields).toMatchObject({ leftOut: 2 })
    await app.get('/private')
    expect(written).toHaveLength(2)
  })

  test('pino gets the fields first', async () => {
    const app = await boot()
    const told: string[] = []
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        told.push(chunk.toString())
        done()
      },
    })
    app.sluice.log(pinoHttp({}, stream).logger)
    await app.get('/private')
    expect(told.map((line) => JSON.parse(line))).toMatchObject([
      { level: 30, msg: 'sluice: an answer was not stored', event: 'refused', reason: 'no-store' },
    ])
  })

  test('a logger that throws disturbs nobody', async () => {
    const app = await boot()
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const fail = (): never => {
      throw new Error('disk full')
    }
    app.sluice.log({ info: fail, warn: fail, error: fail })
    for (let i = 0; i < 4; i++) expect((await app.get('/private')).status).toBe(200)
    for (let i = 0; i < 4; i++) await app.get('/few')
    expect(warned.mock.calls).toEqual([
      ['The logger given to sluice.log() threw: Error: disk full', { type: 'SluiceWarning', code: 'SLUICE_LOG' }],
    ])
    warned.mockRestore()
  })

  test('what is counted is written at the end', async () => {
    const app = await boot()
    const { logger, of } = lines()
    app.sluice.log(logger)
    for (let i = 0; i < 3; i++) await app.get('/private')
    await app.sluice.close()
    expect(of('refused').map(({ fields }) => fields.again)).toEqual([undefined, 2])
  })

  test.each([
    [undefined, {}, 'Option `log` must be a logger with info, warn and error'],
    [{ info() {} }, {}, 'Option `log` must be a logger with info, warn and error'],
    [console, { evry: '1m' }, 'There is no option `log.evry`. Did you mean `every`?'],
    [console, { most: 0 }, 'Option `log.most` must be a whole number above 0'],
    [console, { order: 'last' }, 'Option `log.order` must be one of'],
  ])('bad arguments are told at once: %p', async (logger, options, message) => {
    const app = await boot()
    expect(() => app.sluice.log(logger as never, options as never)).toThrow(message)
  })
})
