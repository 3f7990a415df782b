import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The members of `CacheOptions`, each with the comment above it. */
const [, members = ''] = read('packages/core/src/cache/policy/options.ts').split('export interface CacheOptions {\n')
const options = [...members.split('\n}\n')[0]!.matchAll(/ {2}\/\*\*([\s\S]*?)\*\/\n {2}(\w+)\?: /g)].map(
  ([, comment, name]) => [name!, comment!.replace(/\s*\n\s*\* ?/g, ' ').trim()] as const,
)
const [, chapter = ''] = read('README.md').split('\n## Response caching\n')
const table = chapter.split('\n').filter((line) => line.startsWith('| `'))
const listed = table.flatMap((line) => [...line.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))

describe('the options of the cache', () => {
  test('are found, all of them', () => {
    const declared = [...members.split('\n}\n')[0]!.matchAll(/^ {2}(\w+)\?: /gm)].map(([, name]) => name)
    expect(options.map(([name]) => name)).toEqual(declared)
    expect(options.length).toBeGreaterThan(25)
  })

  test.each(options)('%s: its comment says what the default is', (_, comment) => {
    expect(comment).toMatch(/Default(?::| )/)
  })

  test.each(options.map(([name]) => name))('%s: stands in the table of the README', (name) => {
    expect(listed).toContain(name)
  })
})
