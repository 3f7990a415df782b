import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { locationsIn } from '../../packages/node/src/warm/sitemap.ts'

describe('the locations in a sitemap', () => {
  test.each([
    ['plain', '<loc>/a</loc><loc> /b </loc>', ['/a', '/b']],
    [
      'CDATA and entities',
      '<loc><![CDATA[ /a?b=1&c=2 ]]></loc><loc>/d?e=1&amp;f=&#x41;&#66;</loc>',
      ['/a?b=1&c=2', '/d?e=1&f=AB'],
    ],
    ['one that is not closed', '<loc>/a<loc>/b</loc>', ['/b']],
    ['the end is missing', '<loc>/a</loc><loc>/b', ['/a']],
    ['an error page', '<!doctype html><title>404</title>', []],
    [
      'characters that there are not',
      '<loc>/&#9999999;&#xffffff;&constructor;</loc>',
      ['/&#9999999;&#xffffff;&constructor;'],
    ],
  ])('%s', (_, xml, locations) => {
    expect(locationsIn(xml)).toEqual(locations)
  })

  test('whatever it is, it is survived', () => {
    const part = fc.oneof(fc.constantFrom('<loc>', '</loc>', '<![CDATA[', ']]>', '&#', ';', '&amp;'), fc.string())
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(Array.isArray(locationsIn(parts.join('')))).toBe(true)
      }),
    )
  })

  test.each([
    ['openings alone', '<loc>'.repeat(200_000)],
    ['spaces without an end', `<loc>${' '.repeat(1_000_000)}`],
    ['openings in front of one end', `${'<loc>'.repeat(200_000)}</loc>`],
  ])('takes one pass: %s', (_, xml) => {
    const started = performance.now()
    locationsIn(xml)
    expect(performance.now() - started).toBeLessThan(500)
  })
})
