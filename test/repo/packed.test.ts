import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { workspacePackages } from '../../scripts/lib/workspace.mjs'
import { installConsumers } from './packed/consumer.ts'
import { exec, type Packed, packAll, type Result, ROOT, tool } from './packed/pack.ts'

jest.setTimeout(180_000)

/** Each compiler on each project, however it resolves, is for `npm run test:packed`. */
const isWhole = process.env.SLUICE_PACKED === 'whole'

const names = workspacePackages('packages').map(({ name }) => name)
const temp = mkdtempSync(join(tmpdir(), 'sluice-packed-'))
const consumers = join(temp, 'consumers')
let packed: Packed[] = []
/** What arethetypeswrong says of each tarball. */
let typeProblems: Promise<Record<string, object[]>>

const find = (name: string): Packed => {
  const found = packed.find((each) => each.name === name)
  if (!found) throw new Error(`${name} was not packed.`)
  return found
}

beforeAll(async () => {
  packed = await packAll(temp)
  typeProblems = exec(process.execPath, [
    join(import.meta.dirname, 'packed', 'types-of.mjs'),
    ...packed.map(({ tarball }) => tarball),
  ]).then(({ code, output }) => {
    if (code !== 0) throw new Error(output)
    return JSON.parse(output)
  })
  typeProblems.catch(() => {})
})

afterAll(() => rmSync(temp, { recursive: true, force: true }))

describe.each(names)('the tarball of %s', (name) => {
  test('holds what it should, and nothing that only we need', () => {
    const files = filesBelow(find(name).dir)
    for (const file of ['package.json', 'README.md', 'LICENSE', 'dist/esm/index.js', 'dist/cjs/index.js']) {
      expect(files).toContain(file)
    }
    const foreign = files.filter(
      (file) => !/^(package\.json|README\.md|LICENSE|THIRD-PARTY\.md|(dist\/(esm|cjs)|src)\/.+)$/.test(file),
    )
    expect(foreign).toEqual([])
  })

  test('holds both builds of every source file, and of nothing else', () => {
    const files = filesBelow(find(name).dir)
    const modules = files.flatMap((file) => /^src\/(.+)(?<!\.d)\.ts$/.exec(file)?.[1] ?? [])
    const built = modules.flatMap((module) =>
      ['js', 'js.map', 'd.ts', 'd.ts.map'].flatMap((end) => [`dist/esm/${module}.${end}`, `dist/cjs/${module}.${end}`]),
    )
    const expected = [...built, 'dist/cjs/package.json'].sort()
    expect(files.filter((file) => file.startsWith('dist/')).sort()).toEqual(expected)
  })

  test('says to what its source maps lead, and holds it', () => {
    const { dir } = find(name)
    const maps = filesBelow(dir).filter((file) => file.endsWith('.map'))
    expect(maps.length).toBeGreaterThan(0)
    const dangling = maps.filter((file) => {
      const { sources } = JSON.parse(readFileSync(join(dir, file), 'utf8')) as { sources: string[] }
      return !sources.every((source) => existsSync(join(dir, dirname(file), source)))
    })
    expect(dangling).toEqual([])
  })

  test('asks for the other packages by version', () => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(find(name).dir, 'package.json'), 'utf8'))
    expect(Object.values(dependencies).filter((range) => !/^[\^~]?\d/.test(String(range)))).toEqual([])
  })

  test('pleases publint', async () => {
    expectSuccess(await publint(find(name).tarball))
  })

  test('gives the right types to every kind of import', async () => {
    expect((await typeProblems)[find(name).tarball]).toEqual([])
  })
})

test.each(['dist/esm/index.js', 'dist/cjs/index.js', 'dist/cjs/index.d.ts', 'dist/esm/index.d.ts'])(
  'a package without its %s is refused',
  async (file) => {
    const { dir } = find('@sluice/core')
    const away = join(temp, 'away')
    renameSync(join(dir, file), away)
    const { code, output } = await publint(dir, '--pack', 'false').finally(() => renameSync(away, join(dir, file)))
    expect(output).toContain(`${file} but the file does not exist`)
    expect(code).not.toBe(0)
  },
)

describe('the tarballs, installed', () => {
  beforeAll(async () => {
    await installConsumers(consumers, packed)
  })

  test('work in an ESM project', async () => {
    expectUsed(await exec(process.execPath, ['main.js'], join(consumers, 'esm')))
  })

  test('work in a CommonJS project', async () => {
    expectUsed(await exec(process.execPath, ['main.js'], join(consumers, 'cjs')))
  })

  test('work in a CommonJS project tested with Jest, without a transform', async () => {
    const cwd = join(consumers, 'jest')
    const config = JSON.stringify({ rootDir: cwd, transform: {} })
    const result = await tool('jest/bin/jest.js', ['--config', config, '--ci'], cwd)
    expectSuccess(result)
    expect(result.output).toMatch(/1 passed/)
  })

  test('bring the command `sluice` along', async () => {
    const cwd = join(consumers, 'esm')
    const { code, output } = await exec(
      process.execPath,
      [join(cwd, 'node_modules/@sluice/admin/dist/esm/cli.js'), '--help'],
      cwd,
    )
    expect([code, output]).toEqual([0, expect.stringMatching(/^Usage: sluice <command>/)])
    expect(existsSync(join(cwd, 'node_modules/.bin/sluice'))).toBe(true)
  })

  const compilers = [
    ['TypeScript 5', (project: string) => join(consumers, project, 'node_modules/typescript5/bin/tsc'), /^Version 5\./],
    ['TypeScript 7', () => join(ROOT, 'node_modules/typescript/bin/tsc'), /^Version 7\./],
  ] as const
  describe.each(compilers)('%s', (name, compiler, version) => {
    test('is what it says', async () => {
      expect((await exec(process.execPath, [compiler('esm'), '--version'], consumers)).output).toMatch(version)
    })

    // The old compiler takes several times as long. The types for `require` are those of the CommonJS project under nodenext.
    const usual = name === 'TypeScript 7' ? ['esm bundler', 'cjs nodenext'] : ['esm nodenext']
    const every = ['esm nodenext', 'esm bundler', 'cjs nodenext', 'cjs bundler']
    test.each((isWhole ? every : usual).map((each) => each.split(' ') as [string, string]))(
      'accepts a consumer in the %s project, resolving like %s',
      async (project, resolution) => {
        const args = [compiler(project), '-p', `tsconfig.${resolution}.json`]
        expect(await exec(process.execPath, args, join(consumers, project))).toMatchObject({ code: 0, output: '' })
      },
    )
  })
})

function publint(path: string, ...more: string[]): Promise<Result> {
  return tool('publint/src/cli.js', ['run', path, '--strict', ...more])
}

/** A failure shows what the program said. */
function expectSuccess({ code, output }: Result): void {
  expect(code === 0 ? '' : output || `exit code ${code}`).toBe('')
}

function expectUsed(result: Result): void {
  expectSuccess(result)
  expect(result.output).toContain(`used ${names.join(', ')}`)
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
}
