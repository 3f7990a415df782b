import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { html, scriptHash, styleHash } from '../../../packages/dashboard/src/page/document.ts'
import { DOCUMENT, makePage, sourceOf } from '../../../scripts/lib/page.mjs'

const between = (from: string, to: string): string => html.slice(html.indexOf(from) + from.length, html.lastIndexOf(to))
const hashOf = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`

describe('the document of the page', () => {
  test('is what its sources make of it; else run `npm run page`', async () => {
    expect(readFileSync(DOCUMENT, 'utf8') === sourceOf(await makePage())).toBe(true)
  })

  test('is at most 40 kB with gzip, in all', () => {
    expect(gzipSync(html, { level: 9 }).byteLength).toBeLessThanOrEqual(40_000)
  })

  test('has one script and one style, which its hashes name', () => {
    expect(html.match(/<script/g)).toHaveLength(1)
    expect(html.match(/<style/g)).toHaveLength(1)
    expect(hashOf(between('<script type="module">', '</script>'))).toBe(scriptHash)
    expect(hashOf(between('<style>', '</style>'))).toBe(styleHash)
  })

  test('loads nothing, and has no style or code in attributes', () => {
    const markup = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, '')
    expect(markup).not.toMatch(/\s(?:src|style|on\w+)=/)
    expect(markup.match(/href="[^"]{0,20}/g)).toEqual(['href="data:image/svg+xml,%'])
    expect(between('<style>', '</style>')).not.toMatch(/url\(|@import/)
    expect(between('<script type="module">', '</script>')).not.toMatch(/\beval\(|new Function\b|\bimport\(/)
  })
})
