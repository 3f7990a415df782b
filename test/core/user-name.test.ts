import { describe, expect, jest, test } from '@jest/globals'
import { Identity } from '../../packages/core/src/exchange/client/identity.ts'
import { userName } from '../../packages/core/src/exchange/client/user-name.ts'

class ObjectId {
  readonly #hex: string
  constructor(hex: string) {
    this.#hex = hex
  }
  toHexString(): string {
    return this.#hex
  }
  get id(): Uint8Array {
    return Buffer.from(this.#hex, 'hex')
  }
}

class Uuid {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

class Account {
  readonly #number: number
  constructor(number: number) {
    this.#number = number
  }
  get id(): number {
    return this.#number
  }
}

/** What tells nobody from another: its text is the same for all. */
class Constant {
  readonly #number: number
  constructor(number: number) {
    this.#number = number
  }
  toString(): string {
    return 'User'
  }
  get hidden(): number {
    return this.#number
  }
}

const cyclic = (): object => {
  const self: Record<string, unknown> = {}
  self.self = self
  return self
}

const throwing = (name: string): object => ({
  get [name](): never {
    throw new Error('no')
  },
})

/** Two users who must not be one. */
const kinds: readonly (readonly [string, unknown, unknown])[] = [
  ['numbers', { id: 1 }, { id: 2 }],
  ['a number and its text', { id: 1 }, { id: '1' }],
  ['a number and its bigint', { id: 1 }, { id: 1n }],
  ['bigints beyond doubles', { id: 2n ** 64n }, { id: 2n ** 64n + 1n }],
  ['text', { id: 'a' }, { id: 'A' }],
  ['text in two normal forms', { id: 'é' }, { id: 'e\u0301' }],
  ['half surrogates', { id: '\ud800' }, { id: '\ud801' }],
  ['userId', { userId: 1 }, { userId: 2 }],
  ['login', { login: 'a' }, { login: 'b' }],
  ['user_id', { user_id: 1 }, { user_id: 2 }],
  ['uuid', { uuid: 'a' }, { uuid: 'b' }],
  ['the name of another member', { id: 'a' }, { sub: 'a' }],
  ['ObjectIds', { _id: new ObjectId('00') }, { _id: new ObjectId('01') }],
  ['Buffers', { id: Buffer.from([1]) }, { id: Buffer.from([2]) }],
  ['Buffers that are no text', { id: Buffer.from([0xff]) }, { id: Buffer.from([0xfe]) }],
  ['Uint8Arrays', { id: new Uint8Array([1]) }, { id: new Uint8Array([2]) }],
  ['other views', { id: new Uint16Array([1]) }, { id: new Uint8Array([1, 0]) }],
  ['UUID objects', { id: new Uuid('a') }, { id: new Uuid('b') }],
  ['instances with an id', { sub: new Account(1) }, { sub: new Account(2) }],
  ['users of a class', new Account(1), new Account(2)],
  ['users that are their id', new Uuid('a'), new Uuid('b')],
  ['users that are an ObjectId', new ObjectId('00'), new ObjectId('01')],
  ['users that are text', 'a', 'b'],
  ['users that are numbers', 1, '1'],
  ['nested', { sub: { provider: 'a', id: 1 } }, { sub: { provider: 'b', id: 1 } }],
  ['dates within a second', { id: new Date(1) }, { id: new Date(2) }],
  ['tenants with dates', { id: 1, tenant: { at: new Date(1) } }, { id: 1, tenant: { at: new Date(2) } }],
  ['lists', { id: ['a', 'b'] }, { id: ['a,b'] }],
  ['plain objects in their ids', { id: { $oid: 'a' } }, { id: { $oid: 'b' } }],
  ['issuers', { id: 1, iss: 'a' }, { id: 1, iss: 'b' }],
  ['with and without issuer', { id: 1, iss: 'a' }, { id: 1 }],
  ['tenants', { id: 1, tenant: 'a' }, { id: 1, tenant: 'b' }],
  ['tenants that are objects', { id: 1, tenant: { id: 1 } }, { id: 1, tenant: { id: 2 } }],
  ['tenants of a class', { id: 1, tenant: new Account(1) }, { id: 1, tenant: new Account(2) }],
  ['tenantId', { id: 1, tenantId: 1 }, { id: 1, tenantId: 2 }],
  ['orgId', { id: 1, orgId: 1 }, { id: 1, orgId: 2 }],
  ['realm', { id: 1, realm: 'a' }, { id: 1, realm: 'b' }],
  ['provider', { id: 1, provider: 'github' }, { id: 1, provider: 'google' }],
  ['tenant and issuer of one text', { id: 1, iss: 'a' }, { id: 1, tenant: 'a' }],
  ['scopes', { id: 1, scope: 'read' }, { id: 1, scope: 'read write' }],
  ['roles', { id: 1, roles: ['a'] }, { id: 1, roles: ['a', 'b'] }],
  ['roles in sets', { id: 1, roles: new Set(['a']) }, { id: 1, roles: new Set(['b']) }],
  ['long names', { id: `${'x'.repeat(1000)}1` }, { id: `${'x'.repeat(1000)}2` }],
]

/** Users who cannot be told from others. */
const nameless: readonly (readonly [string, unknown])[] = [
  ['an empty object', {}],
  ['an object with nothing that names', { nick: 'a' }],
  ['an id that is empty', { id: '' }],
  ['an id that is an empty object', { id: {} }],
  ['an id with nothing inside', { sub: { id: undefined } }],
  ['an id that is empty bytes', { id: new Uint8Array() }],
  ['an id that is a truth value', { id: true }],
  ['an id that is not a number', { id: Number.NaN }],
  ['an id that is a symbol', { id: Symbol('a') }],
  ['an id that is no date', { id: new Date(Number.NaN) }],
  ['an id that is a map of nothing', { id: new Map() }],
  ['an id that contains itself', { id: cyclic() }],
  ['an id that says the same for all', { id: new Constant(1) }],
  ['a user that says the same for all', new Constant(1)],
  ['an id that is a promise', { id: Promise.resolve(1) }],
  ['a tenant that cannot be compared', { id: 1, tenant: new Constant(1) }],
  ['a getter that throws', throwing('id')],
  ['a getter of the issuer that throws', Object.assign(throwing('iss'), {})],
  ['a proxy that throws', new Proxy({}, { get: () => { throw new Error('no') } })], // biome-ignore format: one row
  ['a revoked proxy', (() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()], // biome-ignore format: one row
  ['an id that is a revoked proxy', (() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { id: proxy } })()], // biome-ignore format: one row
  ['true', true],
  ['a function', () => 'a'],
  ['a symbol', Symbol('a')],
  ['a list', ['a']],
]

describe('the name of a user', () => {
  test.each(kinds)('tells %s apart, and knows each again', (_, a, b) => {
    const [one, two] = [userName(a, true), userName(b, true)]
    expect([typeof one, typeof two]).toEqual(['string', 'string'])
    expect(one).not.toBe(two)
    expect(one).not.toContain('[object')
    expect(userName(a, true)).toBe(one)
    expect(one!.length).toBeLessThan(300)
  })

  test('of equal values is one, whoever made them', () => {
    expect(userName({ id: Buffer.from('ab') }, true)).toBe(userName({ id: Buffer.from('ab') }, true))
    expect(userName({ _id: new ObjectId('ab') }, true)).toBe(userName({ _id: new ObjectId('ab') }, true))
    expect(userName({ id: new Uuid('ab') }, true)).toBe(userName({ id: new Uuid('ab') }, true))
    expect(userName({ id: 1, nick: 'a', roles: ['a'] }, true)).toBe(userName({ roles: ['a'], id: 1, nick: 'b' }, true))
  })

  test('does not change with what a tenant uses', () => {
    const used = (count: number) => userName({ id: 1, tenant: { id: 'a', used: count, at: new Date(count) } }, true)
    expect(used(1)).toBe(used(2))
    expect(used(1)).toEqual(expect.any(String))
  })

  test('has scopes and roles for what is stored, and not for what is counted', () => {
    const names = (exact: boolean) => ['read', 'write'].map((scope) => userName({ id: 1, scope, iss: 'a' }, exact))
    expect(new Set(names(true)).size).toBe(2)
    expect(new Set(names(false)).size).toBe(1)
  })

  test.each(nameless)('is none where it cannot be told: %s', (_, user) => {
    expect(userName(user, true)).toBeUndefined()
  })
})

describe('identity', () => {
  const warned = () => jest.spyOn(process, 'emitWarning').mockImplementation(() => {})

  test('what is declared names the user, whatever else he has', () => {
    const identity = new Identity((user) => user.account.number)
    expect(identity.nameOf({ id: 1, account: { number: 'a' } }, true)).toBe(
      identity.nameOf({ id: 2, account: { number: 'a' } }, true),
    )
  })

  test.each([
    ['a string', { userNo: 'secret-value' }, 'user.userNo'],
    ['a number', { no: 4711 }, 'String(user.no)'],
    ['an object', { account: { number: 1 } }, 'user.account.id'],
    ['nothing that could name', {}, 'user.name'],
  ])('says once what to declare: %s', (_, user, expression) => {
    const warning = warned()
    try {
      const identity = new Identity()
      expect([identity.nameOf(user, true), identity.nameOf(user, false)]).toEqual([undefined, undefined])
      expect(warning).toHaveBeenCalledTimes(1)
      const [message, options] = warning.mock.calls[0] as unknown as [string, { code: string }]
      expect(message).toContain(`identity: (user) => ${expression}`)
      expect(message).not.toMatch(/secret-value|4711/)
      expect(options.code).toBe('SLUICE_IDENTITY')
    } finally {
      warning.mockRestore()
    }
  })

  test.each<[string, () => unknown, RegExp]>([
    ['an object', () => ({}), /must answer a non-empty string or undefined, but answered an object/],
    ['a number', () => 7, /answered 7/],
    ['an empty string', () => '', /answered ""/],
    ['a promise that rejects', () => Promise.reject(new Error('late')), /answered an instance of Promise/],
    [
      'an exception',
      () => {
        throw new Error('no')
      },
      /threw: no/,
    ],
  ])('that answers %s is an error, and no name', async (_, declared, message) => {
    const warning = warned()
    try {
      const errors: Error[] = []
      const identity = new Identity(declared as never, (error) => errors.push(error))
      expect(identity.nameOf({ id: 1 }, true)).toBeUndefined()
      expect(errors).toHaveLength(1)
      expect(errors[0]!.message).toMatch(message)
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      warning.mockRestore()
    }
  })
})
