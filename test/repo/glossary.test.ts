import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))
const rows = readFileSync(join(root, 'docs/glossary.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\|\s*(?:-|term\b)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const names = rows.map(([, term = '', code = '']) => [term, [...code.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)])

const sources = readdirSync(join(root, 'packages'))
  .flatMap((name) => {
    const folder = join(root, 'packages', name, 'src')
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file))
  })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(file, 'utf8'))

/** Types, classes, functions and constants by name, and the members of interfaces and classes. */
const declared = (name: string): boolean => {
  const declaration = new RegExp(
    `^(?:export )?(?:declare )?(?:abstract )?(?:async )?(?:class|interface|type|function|const) ${name}\\b` +
      `|^  (?:readonly |async |static |override )*${name}\\??[:(<]`,
    'm',
  )
  return sources.some((text) => declaration.test(text))
}

describe('docs/glossary.md', () => {
  test('is a page of terms, each with its name in the code and none twice', () => {
    expect(rows.length).toBeGreaterThan(40)
    expect(rows.length).toBeLessThan(100)
    const terms = names.map(([term]) => term)
    expect(terms.filter((term, i) => terms.indexOf(term) !== i)).toEqual([])
  })

  test.each(names)('%s: %p is in the code', (_, code) => {
    expect(code.length).toBeGreaterThan(0)
    expect((code as string[]).filter((name) => !declared(name))).toEqual([])
  })

  test('a name that is not there would be noticed', () => {
    expect(declared('CacheRecord')).toBe(true)
    expect(declared('Vacuum')).toBe(false)
  })
})
