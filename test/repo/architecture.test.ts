import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { readSources, specifiersOf } from './architecture/imports.ts'
import { RULES, unknownFolders } from './architecture/rules.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('the architecture', () => {
  const files = readSources(ROOT)

  test('there are sources to judge', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(files.flatMap(({ imports }) => imports).length).toBeGreaterThan(50)
  })

  test.each(Object.keys(RULES))('%s', (name) => {
    expect(RULES[name]?.(files, ROOT)).toEqual([])
  })

  test('every folder of core is a layer or a feature this test knows', () => {
    expect(unknownFolders(files)).toEqual([])
  })
})

describe('the scanner', () => {
  test.each([
    ['an import', "import { a } from 'm'"],
    ['an import for its effect', "import 'm'"],
    ['an import of types', "import type { A } from 'm'"],
    ['an import over several lines', "import {\n  a,\n  type B,\n} from 'm'"],
    ['a re-export', "export { a } from 'm'"],
    ['a re-export of everything', "export * from 'm'"],
    ['a named re-export of everything', "export * as all from 'm'"],
    ['an import expression', "const a = await import('m')"],
    ['an import type', "let a: import('m').A"],
    ['typeof an import', "let a: typeof import('m')"],
    ['a require', "const a = require('m')"],
    ['an import assignment', "import a = require('m')"],
  ])('sees %s', (_what, text) => {
    expect(specifiersOf(text)).toEqual(['m'])
  })

  test.each([
    ['a comment', "// import 'm'"],
    ['a documentation example', "/**\n * import { a } from 'm'\n */\nexport const a = 1"],
    ['a string', 'const a = "import \'m\'"'],
    ['a plain export', 'export const a = 1'],
  ])('does not take %s for an import', (_what, text) => {
    expect(specifiersOf(text)).toEqual([])
  })
})

describe('the rules find what breaks them', () => {
  const folders: string[] = []
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  /** A repository with this one file in it, next to those it may be about. */
  function violations(path: string, text: string, beside: readonly string[] = []): string[] {
    const root = mkdtempSync(join(tmpdir(), 'sluice-architecture-'))
    folders.push(root)
    const write = (file: string, content: string) => {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), content)
    }
    for (const name of ['core', 'node', 'express', 'koa', 'redis']) {
      const manifest = {
        name: `@sluice/${name}`,
        exports: { '.': './src/index.ts', './store': './src/store.ts' },
        dependencies: { '@sluice/core': '*', '@sluice/node': '*', express: '*', ioredis: '*' },
      }
      write(`packages/${name}/package.json`, JSON.stringify(manifest))
      write(`packages/${name}/src/index.ts`, 'export const here = true\n')
    }
    for (const file of [
      'base/errors',
      'http/fields',
      'exchange/exchange',
      'cache/store',
      'limit/store',
      'sluice/engine',
    ]) {
      write(`packages/core/src/${file}.ts`, 'export const here = true\n')
    }
    write('packages/core/src/http/there.ts', "import './back.ts'\n")
    write('packages/core/src/http/back.ts', 'export const here = true\n')
    write(path, text)
    for (const file of beside) write(file, 'export const here = true\n')
    const files = readSources(root)
    return Object.keys(RULES).filter((name) => (RULES[name]?.(files, root) ?? []).length > 0)
  }

  const DIRECTION =
    'packages import each other in one direction: core → node → express | koa | fastify, core → redis | prometheus | opentelemetry'
  const PUBLIC = 'packages import public entries of each other only'
  const DECLARED = 'what a package imports is a dependency it declares'
  const FRAMEWORK = 'core imports neither a framework nor a socket'
  const PURE = 'http/ in core is pure: nothing of Node that does I/O'
  const LAYERS = 'inside core, imports lead down: base → http → exchange → features → sluice'
  const SIBLINGS = 'features do not import each other'
  const CYCLES = 'no cycles between files'
  const NOWHERE = 'every relative import leads to a file'
  const LENGTH = 'no file is longer than 400 lines'
  const ROOT_OF_CORE = 'at the root of core stands nothing but its index'
  const CROWD = 'no folder holds more than 12 files'

  test.each<[string, string, string[]]>([
    ['core/src/sluice/a.ts', "import '@sluice/node'", [DIRECTION]],
    ['core/src/a.ts', 'export const a = 1', [ROOT_OF_CORE]],
    ['node/src/a.ts', "import '@sluice/express'", [DIRECTION, DECLARED]],
    ['redis/src/a.ts', "import '@sluice/node'", [DIRECTION]],
    ['koa/src/a.ts', "import type { A } from '@sluice/redis'", [DIRECTION, DECLARED]],
    ['express/src/a.ts', "import '@sluice/core/src/sluice/engine.ts'", [PUBLIC]],
    ['express/src/a.ts', "import '../../core/src/sluice/engine.ts'", [PUBLIC]],
    ['express/src/a.ts', "import 'lodash'", [DECLARED]],
    ['express/src/a.ts', "import '@sluice/express'", [DECLARED]],
    ['core/src/cache/a.ts', "import 'express'", [FRAMEWORK]],
    ['core/src/cache/a.ts', "import type { Redis } from 'ioredis'", [FRAMEWORK]],
    ['core/src/cache/a.ts', "import type { IncomingMessage } from 'node:http'", [FRAMEWORK]],
    ['core/src/cache/a.ts', "const net = await import('net')", [FRAMEWORK]],
    ['core/src/cache/a.ts', "import 'node:dns/promises'", [FRAMEWORK]],
    ['core/src/http/a.ts', "import 'node:fs/promises'", [PURE]],
    ['core/src/http/a.ts', "import '../exchange/exchange.ts'", [LAYERS]],
    ['core/src/base/errors.ts', "import '../http/fields.ts'", [LAYERS]],
    ['core/src/exchange/a.ts', "import '../cache/store.ts'", [LAYERS]],
    ['core/src/cache/a.ts', "import '../sluice/engine.ts'", [LAYERS]],
    ['core/src/cache/a.ts', "import type { S } from '../limit/store.ts'", [SIBLINGS]],
    ['core/src/http/back.ts', "import './there.ts'", [CYCLES]],
    ['core/src/http/back.ts', "import './back.ts'", [CYCLES]],
    ['core/src/http/a.ts', "import './gone.ts'", [NOWHERE]],
    ['core/src/http/a.ts', '401 lines', [LENGTH]],
    ['core/src/http/a.ts', '400 lines', []],
    ['core/src/cache/a.ts', "import '../http/fields.ts'\nimport './store.ts'\nimport 'node:fs'", []],
    ['core/src/http/a.ts', "import '../base/errors.ts'\nimport 'node:crypto'", []],
    ['node/src/a.ts', "import '@sluice/core'\nimport 'node:http2'", []],
    ['express/src/a.ts', "import '@sluice/core/store'\nimport '@sluice/node'\nimport 'express'", []],
    ['redis/src/a.ts', "import '@sluice/core'\nimport 'ioredis'\nimport 'node:net'", []],
  ])('%s with %j', (path, text, broken) => {
    const content = text.replace(/^(\d+) lines$/, (_all, count) => 'const a = 1\n'.repeat(Number(count)))
    expect(violations(`packages/${path}`, content)).toEqual(broken)
  })

  test('a thirteenth file in a folder', () => {
    const beside = Array.from({ length: 11 }, (_, i) => `packages/koa/src/reply/f${i}.ts`)
    expect(violations('packages/koa/src/reply/a.ts', 'export const a = 1', beside)).toEqual([])
    beside.push('packages/koa/src/reply/f11.ts')
    expect(violations('packages/koa/src/reply/a.ts', 'export const a = 1', beside)).toEqual([CROWD])
  })
})
