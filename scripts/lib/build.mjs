import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { runTool } from './run.mjs'
import { ROOT, say, UserError } from './say.mjs'
import { workspacePackages } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').WorkspacePackage} WorkspacePackage */

const TSC = 'typescript/bin/tsc'

/**
 * Type-checks every package, every example, the tests and these scripts. The packages' ESM builds fall out of it.
 */
export function checkTypes() {
  const found = [...workspacePackages('packages'), ...workspacePackages('examples')].map(({ dir }) => dir)
  // What a package runs in browsers is a project of its own.
  const clients = workspacePackages('packages').map(({ dir }) => join(dir, 'client'))
  const projects = [...found, ...clients, join(ROOT, 'test'), join(ROOT, 'scripts')]
  return runTool(TSC, ['-b', ...projects.filter((dir) => existsSync(join(dir, 'tsconfig.json')))])
}

/**
 * Compiles packages to dist/esm (examples to dist).
 *
 * @param {WorkspacePackage[]} packages
 * @throws UserError when one does not compile
 */
export async function buildEsm(packages) {
  for (const { dir } of packages) prune(join(dir, 'dist', 'esm'), join(dir, 'src'))
  await compile(['-b', ...packages.map(({ dir }) => dir)])
}

/**
 * Compiles packages to dist/cjs. After buildEsm: the types of the packages they import are read from there.
 *
 * @param {WorkspacePackage[]} packages
 * @throws UserError when one does not compile
 */
export async function buildCjs(packages) {
  for (const { dir } of packages) {
    const out = join(dir, 'dist', 'cjs')
    prune(out, join(dir, 'src'))
    await compile(['-p', join(dir, 'tsconfig.cjs.json')])
    // Below a package of type "module", only a package.json nearer by makes .js files CommonJS.
    mkdirSync(out, { recursive: true })
    writeFileSync(join(out, 'package.json'), '{ "type": "commonjs", "sideEffects": false }\n')
  }
}

/** Builds everything that is published, and the examples. */
export async function build() {
  const packages = workspacePackages('packages')
  // An example in plain JavaScript has nothing to build.
  const examples = workspacePackages('examples').filter(({ dir }) => existsSync(join(dir, 'tsconfig.json')))
  say(`Building ES modules: ${[...packages, ...examples].map(({ name }) => name).join(', ')}`)
  await buildEsm([...packages, ...examples])
  say('Building CommonJS')
  await buildCjs(packages)
}

/** @param {string[]} args */
async function compile(args) {
  const { code, interrupted } = await runTool(TSC, args)
  if (interrupted) throw new UserError('Stopped.')
  if (code !== 0) throw new UserError('The build failed: the lines above say where.')
}

/**
 * Removes what a source file left behind that is gone. The folder is not simply emptied, because programs and tests
 * may be running from it.
 *
 * @param {string} out
 * @param {string} src
 */
function prune(out, src) {
  if (!existsSync(out)) return
  for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    const stem = relative(out, file).replace(/\.(d\.ts|js)(\.map)?$/, '')
    const ours = entry.isFile() && stem !== relative(out, file)
    if (ours && !existsSync(join(src, `${stem}.ts`))) rmSync(file)
  }
}
