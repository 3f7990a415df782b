import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guide/traces.md', import.meta.url)), 'utf8')

/** The rows of a table of the guide whose first cell is code, cell by cell. */
export const rowsOf = (heading: string): string[][] =>
  section(heading)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )

function section(heading: string): string {
  const from = guide.indexOf(`\n## ${heading}\n`)
  if (from < 0) throw new Error(`no section ${heading}`)
  const end = guide.indexOf('\n## ', from + 1)
  return guide.slice(from, end < 0 ? undefined : end)
}

export const codeIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)

/** Which metric here is which of Prometheus, as the guide has it. */
export const counterparts = (): { readonly ours: string; readonly theirs: string }[] =>
  rowsOf('Metrics').map((cells) => ({ ours: codeIn(cells[0]!)[0]!, theirs: codeIn(cells.at(-1)!)[0]! }))
