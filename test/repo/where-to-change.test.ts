import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The rows of a table of CONTRIBUTING.md, by the heading it stands under. */
function tableUnder(heading: string): [question: string, path: string][] {
  const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
  const [, section = ''] = text.split(`\n## ${heading}\n`)
  const [part = ''] = section.split('\n## ')
  return [...part.matchAll(/^\| (.+?) +\| `(.+?)` +\|$/gm)].map(([, question, path]) => [question!, path!])
}

describe('where to change …', () => {
  const rows = tableUnder('Where to change …')

  test('has fifteen questions and more, each once', () => {
    expect(rows.length).toBeGreaterThanOrEqual(15)
    expect(new Set(rows.map(([question]) => question)).size).toBe(rows.length)
  })

  test.each([
    'what counts as fresh',
    'what a 429 says',
    'which fields a 304 has',
    'how a tag is purged on Redis',
    'what Fastify does with a stream',
  ])('answers %s', (question) => {
    expect(rows.map(([asked]) => asked)).toContain(question)
  })

  test.each(rows)('%s: %s is there', (_, path) => {
    expect(existsSync(join(root, path)) && statSync(join(root, path)).isFile()).toBe(true)
  })
})

describe('the folders of docs/architecture.md', () => {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const [, tree = ''] = /\n## The tree\n[\s\S]*?```\n([\s\S]*?)```/.exec(text) ?? []

  /** A folder a line, indented below the one it is in. */
  const folders = tree
    .split('\n')
    .filter((line) => /^ *[\w-]+\/(?: |$)/.test(line))
    .reduce<{ depth: number; path: string }[]>((list, line) => {
      const depth = line.search(/\S/)
      const above = list.findLast((one) => one.depth < depth)
      const name = line.trim().split(/[ /]/, 1)[0]!
      list.push({ depth, path: above ? `${above.path}/${name}` : name })
      return list
    }, [])
    .map(({ path }) => path)

  test('are drawn', () => {
    expect(folders.length).toBeGreaterThan(40)
  })

  test.each(folders)('%s is there', (path) => {
    expect(existsSync(join(root, 'packages', path)) && statSync(join(root, 'packages', path)).isDirectory()).toBe(true)
  })
})
