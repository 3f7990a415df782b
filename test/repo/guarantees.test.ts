import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parameters } from '../../packages/core/src/limit/algorithms/parameters.ts'
import { cells, columns, kinds, lines } from '../limit/guarantees/table.ts'
import { ROOT } from './packed/pack.ts'

/** The tables of a document that begin with that column: their cells, without the line of dashes. */
function tableIn(text: string, first: string): string[][] {
  const from = text.split('\n')
  const start = from.findIndex((line) => line.startsWith(`| ${first} `))
  const end = from.findIndex((line, i) => i > start && !line.startsWith('|'))
  return from
    .slice(start, end)
    .map((line) => line.split('|').slice(1, -1))
    .map((row) => row.map((cell) => cell.trim()))
    .filter((row) => !row.every((cell) => /^-+$/.test(cell)))
}

test('the guarantees that the README promises are those that are tested, cell by cell', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  expect(tableIn(readme, 'algorithm')).toEqual(lines)
})

test('there is a row for every algorithm, and each cell has a test of its own name', () => {
  // A ban admits nothing, so that it has no most.
  expect([...kinds, 'ban'].toSorted()).toEqual(Object.keys(parameters).toSorted())
  expect(cells).toHaveLength(kinds.length * Object.keys(columns).length)
  expect(new Set(cells.map(({ name }) => name)).size).toBe(cells.length)
})
