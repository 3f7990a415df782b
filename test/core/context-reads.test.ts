import { expect, test } from '@jest/globals'
import { by, type KeyFunction } from '../../packages/core/src/exchange/client/by.ts'
import { RequestContext } from '../../packages/core/src/exchange/context.ts'
import type { RequestView } from '../../packages/core/src/exchange/request-view.ts'

const properties: Readonly<Record<string, unknown>> = {
  user: { id: 7, plan: 'pro' },
  session: { cart: { id: 1 } },
  body: { email: 'a@x.org' },
  query: { q: '1' },
  params: { id: '1' },
}

const view = {
  clientIp: '192.0.2.1',
  method: 'GET',
  path: '/',
  header: (name: string) => (name === 'cookie' ? 'theme=dark; sid=1' : 'x'),
  property: (name: string) => properties[name],
} as unknown as RequestView

/** What covers what: these are the names under which a handler's reads are compared. */
const rows: readonly (readonly [string, KeyFunction, readonly string[]])[] = [
  ['by.user', by.user, ['@identity']],
  ['by.ip', by.ip, ['@ip']],
  ['by.header', by.header('X-Tenant'), ['x-tenant']],
  ['by.cookie', by.cookie('theme'), ['cookie.theme']],
  ['by.hash of a cookie', by.hash('cookies.theme'), ['cookie.theme']],
  ['by.hash of a part of the session', by.hash('session.cart.id'), ['@session.cart.id']],
  ['by.hash of a part of the user', by.hash('user.plan'), ['@user.plan']],
  ['by.hash of a part of the body', by.hash('body.email'), ['@body.email']],
  ['by.hash of the query', by.hash('query.q'), []],
  ['by.route', by.route, []],
  ['several', by(by.ip, by.cookie('sid')), ['@ip', 'cookie.sid']],
  ['c.cookies.theme', (c) => c.cookies.theme, ['cookie.theme']],
  ['c.cookies with its own name for it', (c) => String(c.cookies.constructor), ['cookie.constructor']],
  ['destructured', ({ cookies: { theme } }) => theme, ['cookie.theme']],
  ['in', (c) => String('theme' in c.cookies), ['cookie.theme']],
  ['Object.hasOwn', (c) => String(Object.hasOwn(c.cookies, 'theme')), ['cookie.theme']],
  ['Object.keys', (c) => Object.keys(c.cookies).join(), ['cookie', 'cookie.theme', 'cookie.sid']],
  ['spread', (c) => ({ ...c.cookies }).theme, ['cookie', 'cookie.theme', 'cookie.sid']],
  ['JSON', (c) => JSON.stringify(c.cookies), ['cookie', 'cookie.theme', 'cookie.sid']],
  ['c.user', (c) => c.user.plan, ['@user.plan']],
  ['c.session', (c) => String(c.session.cart.id), ['@session.cart.id']],
  ['c.body', (c) => c.body.email, ['@body']],
  ['c.ip', (c) => c.ip, ['@ip']],
  ['c.header', (c) => c.header('X-Tenant'), ['x-tenant']],
  ['method and path', (c) => c.method + c.path, []],
]

test.each(rows)('%s is noted as what it reads', (_, fn, expected) => {
  const reads = new Set<string>()
  expect(typeof fn(new RequestContext(view, reads))).toBe('string')
  expect([...reads].sort()).toEqual([...expected].sort())
})
