import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { reasons } from '../../packages/core/src/cache/reasons.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The compiler holds what is said to the cache's own list; of what begins with `unkeyed-` there is no end. */
const words = [...Object.keys(reasons), 'unkeyed-…', 'unkeyed-query']

/** What stages beside the cache say with `skip`, and the cache for them: no type holds them to the list. */
const skipped = readdirSync(join(root, 'packages'))
  .flatMap((name) => {
    const files = readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
    return files.filter((file) => file.endsWith('.ts')).map((file) => read(`packages/${name}/src/${file}`))
  })
  .flatMap((text) => [...text.matchAll(/skip\??\.?\('([\w-]+)'\)|#skipped = '([\w-]+)'/g)])
  .map(([, said, set]) => said ?? set!)

const [, section = ''] = read('docs/guide/caching.md').split('\n## Why it is not stored\n')
const rows = section
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => /^\| `/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const explained = rows.map(([, word]) => word!.replaceAll('`', ''))

describe('the table of reasons in docs/guide/caching.md', () => {
  test.each([...new Set([...words, ...skipped])])('%s: has its row', (word) => {
    expect(explained).toContain(word)
  })

  test('has no word that the code has not, and none twice', () => {
    expect(explained.filter((word) => !words.includes(word))).toEqual([])
    expect(explained.filter((word, i) => explained.indexOf(word) !== i)).toEqual([])
  })

  test.each(rows.map(([, ...row]) => row))('%s: has a cause and a remedy', (word, cause, remedy) => {
    for (const cell of [word, cause, remedy]) expect(cell).not.toBe('')
  })

  test('what is skipped is found in the sources', () => {
    expect(skipped).toEqual(expect.arrayContaining(['nested', 'behind-paginate', 'set-cookie', 'unanswered']))
  })
})
