import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join } from 'node:path'
import type { SourceFile } from './imports.ts'

/**
 * What each package may import of the others: core → node → the frameworks, core → redis | prometheus | opentelemetry; an operator's
 * door stands beside.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  node: ['core'],
  redis: ['core'],
  prometheus: ['core'],
  opentelemetry: ['core'],
  admin: ['core', 'node', 'redis'],
  dashboard: ['core', 'admin'],
}
/** A package that is not named above is an adapter for a framework. */
const ADAPTER = ['core', 'node']

const FRAMEWORKS = [
  'express',
  'koa',
  '@koa/router',
  'fastify',
  'fastify-plugin',
  'hono',
  '@hapi/hapi',
  'ioredis',
  'redis',
  'prom-client',
  '@opentelemetry/api',
]
const SOCKETS = ['http', 'https', 'http2', 'net', 'tls', 'dgram', 'dns', 'child_process', 'cluster']
/** What pure code may take from Node: arithmetic over bytes. */
const PURE = ['buffer', 'crypto', 'url', 'util']

/** The floors inside core, from the bottom; a file imports from its own floor and those below. */
const FEATURES = ['cache', 'limit', 'shed', 'compress', 'page', 'batch', 'memo', 'defer', 'decorate']
const LAYERS = ['base', 'http', 'exchange', 'feature', 'sluice'] as const

const MAX_LINES = 400
const MAX_FILES = 12

type Rule = (files: readonly SourceFile[], root: string) => string[]

/** The architecture, as rules by name. Each answers with its violations, one sentence each. */
export const RULES: Record<string, Rule> = {
  'packages import each other in one direction: core → node → express | koa | fastify, core → redis | prometheus | opentelemetry':
    (files) =>
      eachImport(files, (file, specifier) => {
        const [from, to] = [packageOf(file.path), /^@sluice\/([^/]+)/.exec(specifier)?.[1]]
        if (to === undefined || from === to) return undefined
        return (MAY_IMPORT[from] ?? ADAPTER).includes(to) ? undefined : `${from} may not import ${to}`
      }),

  'packages import public entries of each other only': (files, root) =>
    eachImport(files, (file, specifier, target) => {
      if (target !== undefined && packageOf(target) !== packageOf(file.path)) return 'reaches into another package'
      const [, to, rest] = /^@sluice\/([^/]+)(.*)$/.exec(specifier) ?? []
      if (to === undefined || rest === undefined) return undefined
      return exportsOf(root, to).includes(`.${rest}`) ? undefined : 'is not an entry that package exports'
    }),

  'what a package imports is a dependency it declares': (files, root) =>
    eachImport(files, (file, specifier, target) => {
      if (target !== undefined || isBuiltin(specifier)) return undefined
      const { name, dependencies, peerDependencies } = manifestOf(root, packageOf(file.path))
      const needed = moduleName(specifier)
      if (needed === name) return 'imports its own package by name'
      return needed in { ...dependencies, ...peerDependencies } ? undefined : 'is not among its dependencies'
    }),

  'core imports neither a framework nor a socket': (files) =>
    eachImport(files, (file, specifier) => {
      if (packageOf(file.path) !== 'core') return undefined
      if (FRAMEWORKS.includes(moduleName(specifier))) return 'is a framework or a driver'
      return isBuiltin(specifier) && SOCKETS.includes(builtinName(specifier)) ? 'is a socket' : undefined
    }),

  'http/ in core is pure: nothing of Node that does I/O': (files) =>
    eachImport(files, (file, specifier) => {
      if (layerOf(file.path) !== 'http' || !isBuiltin(specifier)) return undefined
      return PURE.includes(builtinName(specifier)) ? undefined : 'is not for pure code'
    }),

  'inside core, imports lead down: base → http → exchange → features → sluice': (files) =>
    eachImport(files, (file, _specifier, target) => {
      const [from, to] = [layerOf(file.path), target === undefined ? undefined : layerOf(target)]
      if (from === undefined || to === undefined) return undefined
      return LAYERS.indexOf(to) <= LAYERS.indexOf(from) ? undefined : `${from} may not import ${to}`
    }),

  'features do not import each other': (files) =>
    eachImport(files, (file, _specifier, target) => {
      const [from, to] = [featureOf(file.path), target === undefined ? undefined : featureOf(target)]
      return from === undefined || to === undefined || from === to ? undefined : `${from} may not import ${to}`
    }),

  'no cycles between files': (files) => cycles(files).map((cycle) => cycle.join(' → ')),

  'every relative import leads to a file': (files) => {
    const known = new Set(files.map(({ path }) => path))
    return eachImport(files, (_file, _specifier, target) =>
      target === undefined || known.has(target) ? undefined : 'leads nowhere',
    )
  },

  [`no file is longer than ${MAX_LINES} lines`]: (files) =>
    files.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path} has ${lines} lines`),

  [`no folder holds more than ${MAX_FILES} files`]: (files) => {
    const counts = new Map<string, number>()
    for (const { path } of files) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1)
    return [...counts].filter(([, count]) => count > MAX_FILES).map(([path, count]) => `${path} holds ${count} files`)
  },

  'at the root of core stands nothing but its index': (files) =>
    files
      .filter(({ path }) => /^packages\/core\/src\/[^/]+$/.test(path) && !path.endsWith('/index.ts'))
      .map(({ path }) => path),
}

function eachImport(
  files: readonly SourceFile[],
  judge: (file: SourceFile, specifier: string, target: string | undefined) => string | undefined,
): string[] {
  return files.flatMap((file) =>
    file.imports.flatMap(({ specifier, target }) => {
      const problem = judge(file, specifier, target)
      return problem === undefined ? [] : [`${file.path} imports ${specifier}: ${problem}`]
    }),
  )
}

function packageOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function layerOf(path: string): (typeof LAYERS)[number] | undefined {
  const within = /^packages\/core\/src\/(.+)$/.exec(path)?.[1]
  if (within === undefined) return undefined
  const [first = ''] = within.split('/')
  if (first === within) return 'sluice'
  if (first === 'base' || first === 'http' || first === 'exchange' || first === 'sluice') return first
  // Reads an instance from outside, as whatever shows its figures does.
  if (first === 'figures') return 'sluice'
  // A new folder in core is a feature until somebody says otherwise here.
  return 'feature'
}

function featureOf(path: string): string | undefined {
  if (layerOf(path) !== 'feature') return undefined
  return path.split('/')[3]
}

/** The folders of core that are neither a layer nor a known feature. */
export function unknownFolders(files: readonly SourceFile[]): string[] {
  const features = files.map(({ path }) => featureOf(path)).filter((name) => name !== undefined)
  return [...new Set(features)].filter((name) => !FEATURES.includes(name))
}

function moduleName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier)
}

function builtinName(specifier: string): string {
  return specifier.replace(/^node:/, '').split('/')[0] ?? ''
}

interface Manifest {
  name: string
  exports?: Record<string, unknown>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

function manifestOf(root: string, name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
}

function exportsOf(root: string, name: string): string[] {
  return Object.keys(manifestOf(root, name).exports ?? {})
}

/** One cycle for each way back a depth-first walk meets. */
function cycles(files: readonly SourceFile[]): string[][] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const found: string[][] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) found.push([...trail.slice(start), path])
    if (start >= 0 || done.has(path)) return
    for (const { target } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined) visit(target, [...trail, path])
    }
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return found
}
