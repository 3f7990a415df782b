import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sameOriginTarget, splitTarget } from '../../packages/core/src/http/locate.ts'

const base = { scheme: 'https', authority: 'api.example', path: '/cities/7/edit' }

describe('sameOriginTarget (RFC 9111 §4.4)', () => {
  test.each<[name: string, reference: string | undefined, target: [path: string, query: string] | undefined]>([
    ['absent', undefined, undefined],
    ['empty', '', undefined],
    ['absolute path', '/cities', ['/cities', '']],
    ['with a query', '/cities?page=2', ['/cities', 'page=2']],
    ['the fragment is not part of it', '/cities#top', ['/cities', '']],
    ['relative', '../8', ['/cities/8', '']],
    ['query only', '?a=1', ['/cities/7/edit', 'a=1']],
    ['absolute, same origin', 'https://api.example/cities', ['/cities', '']],
    ['the default port is the same origin', 'https://api.example:443/cities', ['/cities', '']],
    ['case of the host', 'HTTPS://API.example/Cities', ['/Cities', '']],
    ['no path', 'https://api.example', ['/', '']],
    ['scheme-relative, same host', '//api.example/cities', ['/cities', '']],
    ['another host', 'https://evil.example/cities', undefined],
    ['scheme-relative, another host', '//evil.example/cities', undefined],
    ['backslashes, another host', '\\\\evil.example/cities', undefined],
    ['another scheme', 'http://api.example/cities', undefined],
    ['another port', 'https://api.example:8443/cities', undefined],
    ['a host that begins like ours', 'https://api.example.evil.example/', undefined],
    ['our host as the user of another', 'https://api.example@evil.example/', undefined],
    ['no hierarchy', 'mailto:bob@api.example', undefined],
    ['script', 'javascript:alert(1)', undefined],
    ['no URL', 'https://[', undefined],
    ['percent-encoding is kept', '/caf%C3%A9?q=%20', ['/caf%C3%A9', 'q=%20']],
  ])('%s: %s', (_name, reference, target) => {
    expect(sameOriginTarget(base, reference)).toEqual(target && { path: target[0], query: target[1] })
  })

  test('without an authority only what has none itself', () => {
    expect(sameOriginTarget({ ...base, authority: '' }, '/cities')).toEqual({ path: '/cities', query: '' })
    expect(sameOriginTarget({ ...base, authority: '' }, 'https://api.example/cities')).toBeUndefined()
  })

  test('a base path that begins with two slashes is no host', () => {
    expect(sameOriginTarget({ ...base, path: '//evil.example/x' }, 'y')).toEqual({
      path: '//evil.example/y',
      query: '',
    })
  })

  test.each([
    [{ ...base, authority: 'a b' }],
    [{ ...base, authority: '[' }],
    [{ ...base, scheme: '' }],
    [{ ...base, scheme: 'x y' }],
  ])('a base that is none: %j', (bad) => {
    expect(sameOriginTarget(bad, '/cities')).toBeUndefined()
  })

  test.each([['*'], ['']])('a base path of %j', (path) => {
    expect(sameOriginTarget({ ...base, path }, 'x')).toEqual({ path: '/x', query: '' })
  })

  test('nothing throws', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, text, text, (scheme, authority, path, reference) => {
        sameOriginTarget({ scheme, authority, path }, reference)
        const target = sameOriginTarget(base, reference)
        expect(target === undefined || target.path.startsWith('/')).toBe(true)
      }),
    )
  })
})

describe('splitTarget (RFC 9112 §3.2)', () => {
  test.each<[name: string, target: string, path: string, query: string, authority?: string]>([
    ['origin-form', '/a?b=1', '/a', 'b=1'],
    ['without a query', '/a', '/a', ''],
    ['an empty query', '/a?', '/a', ''],
    ['a second question mark', '/a?b?c', '/a', 'b?c'],
    ['§3.2.1 two slashes are a path', '//host/a?b', '//host/a', 'b'],
    ['nothing is decoded', '/%61%2Fb?%3F', '/%61%2Fb', '%3F'],
    ['nothing is resolved', '/a/../b/./c', '/a/../b/./c', ''],
    ['§3.2.2 absolute-form', 'http://host:80/a?b', '/a', 'b', 'host:80'],
    ['absolute-form without a path', 'HTTP://host', '/', '', 'host'],
    ['absolute-form with a query only', 'http://host?b', '/', 'b', 'host'],
    ['a URL in the path', '/http://host/a', '/http://host/a', ''],
    ['a URL in the query', '/a?u=http://host/b?c', '/a', 'u=http://host/b?c'],
    ['§3.2.4 asterisk-form', '*', '*', ''],
    ['nothing', '', '/', ''],
    ['a query only', '?a', '/', 'a'],
  ])('%s: %s', (_name, target, path, query, ...[authority]) => {
    expect(splitTarget(target)).toEqual({
      path,
      query,
      authority,
      scheme: authority === undefined ? undefined : 'http',
    })
  })

  test('an origin-form target is its parts again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (rest) => {
        const { path, query } = splitTarget(`/${rest}`)
        expect([`${path}`, `${path}?${query}`]).toContain(`/${rest}`)
        splitTarget(rest)
      }),
    )
  })
})
