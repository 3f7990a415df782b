import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { by, type PolicyOptions } from '@sluice/core'
import { says } from './harness/handlers.ts'
import { type AppSpec, describeHosts, type Step, type TestApp } from './harness/host.ts'

const warnings: [code: string, text: string][] = []
beforeEach(() => {
  warnings.length = 0
  jest.spyOn(process, 'emitWarning').mockImplementation(((text: string, options: { code: string }) => {
    warnings.push([options.code, text])
  }) as never)
})
afterEach(() => {
  jest.restoreAllMocks()
})

const limited = (policy: PolicyOptions, more: Partial<AppSpec> = {}): AppSpec => ({
  sluice: { limits: { p: { phase: 'onRequest', ...policy } } },
  routes: [{ path: '/', limit: ['p'], handler: says({}) }],
  ...more,
})
const forwarded = { 'x-forwarded-for': '192.0.2.7' }

async function ask(app: TestApp, headers?: Record<string, string>): Promise<void> {
  for (let i = 0; i < 3; i++) await app.get('/', headers)
}

describeHosts('a limit that is mounted in the wrong place says so once', (host) => {
  test('by address, behind a proxy that nobody was told to trust', async () => {
    const app = await host.boot(limited({ rate: '9/min' }))
    await ask(app)
    expect(warnings).toEqual([])
    await ask(app, forwarded)
    expect(warnings).toEqual([['SLUICE_LIMIT_FORWARDED', expect.stringMatching(/`p`.*`x-forwarded-for`.*trust proxy/)]])
  })

  test.each<[string, PolicyOptions['key']]>([
    ['by.header', by.header('x-forwarded-for')],
    ['a function', (c) => c.header('X-Forwarded-For')],
    ['a part', by(by.header('x-forwarded-for'), by.route)],
  ])('by a field that anybody can write (%s)', async (_, key) => {
    const app = await host.boot(limited({ rate: '9/min', key }))
    await ask(app, forwarded)
    expect(warnings).toEqual([['SLUICE_LIMIT_FORWARDED', expect.stringMatching(/fresh quota.*trust proxy/)]])
  })

  if (host.framework !== 'node') {
    test('and says nothing where the proxy is trusted', async () => {
      const app = await host.boot(limited({ rate: '9/min' }, { proxy: true }))
      await ask(app, forwarded)
      expect(warnings).toEqual([])
    })
  }

  test.each<[string, PolicyOptions['key']]>([
    ['by.hash', by.hash('body.email')],
    ['a function', (c) => c.body?.email],
  ])('in front of the body parser (%s)', async (_, key) => {
    const app = await host.boot({
      sluice: { limits: { p: { rate: '9/min', key, phase: 'onRequest' } } },
      limit: ['p'],
      routes: [{ path: '/', method: 'POST', handler: says({}) }],
    })
    const headers = { 'content-type': 'application/json' }
    for (let i = 0; i < 3; i++) await app.request('/', { method: 'POST', headers, body: '{"email":"a@x.org"}' })
    // On plain node the harness parses bodies before anything else.
    const parsed = host.framework === 'node'
    expect(warnings.map(([code]) => code)).toEqual(parsed ? [] : ['SLUICE_LIMIT_BODY'])
  })

  test('in front of authentication', async () => {
    const signIn: Step = (c) => {
      c.user = { id: 7 }
    }
    const spec = limited({ rate: '9/min', key: by.user })
    const app = await host.boot({ ...spec, routes: [{ ...spec.routes[0]!, before: [signIn] }] })
    await ask(app)
    expect(warnings).toEqual([['SLUICE_LIMIT_USER', expect.stringMatching(/`p`.*user.*authenticate/)]])
  })

  test('and says nothing where nobody is signed in, or authentication came first', async () => {
    const spec = limited({ rate: '9/min', key: by.user })
    const signIn: Step = (c) => {
      if (c.header('x-user') !== undefined) c.user = { id: 7 }
    }
    const app = await host.boot({ ...spec, use: [signIn] })
    await ask(app)
    await ask(app, { 'x-user': '7' })
    expect(warnings).toEqual([])
  })
})
