import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './say.mjs'

/**
 * @typedef {object} WorkspacePackage
 * @property {string} name as in its package.json
 * @property {string} dir absolute
 * @property {Record<string, any>} manifest its package.json
 * @property {string[]} needs names of the workspace packages it depends on
 */

/**
 * The workspace's packages below one folder, each after those it depends on. Found, never listed: a new package is
 * built, tested and packed from the moment its folder exists.
 *
 * @param {'packages' | 'examples'} folder
 * @param {string} [root]
 * @returns {WorkspacePackage[]}
 */
export function workspacePackages(folder, root = ROOT) {
  const base = join(root, folder)
  if (!existsSync(base)) return []
  const found = readdirSync(base)
    .sort()
    .map((name) => join(base, name))
    .filter((dir) => existsSync(join(dir, 'package.json')))
    .map((dir) => {
      const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
      const dependencies = { ...manifest.dependencies, ...manifest.devDependencies }
      const needs = Object.keys(dependencies).filter((key) => String(dependencies[key]).startsWith('workspace:'))
      return { name: String(manifest.name), dir, manifest, needs }
    })
  return inOrder(found)
}

/** @param {WorkspacePackage[]} packages @returns {WorkspacePackage[]} */
function inOrder(packages) {
  const known = new Map(packages.map((each) => [each.name, each]))
  /** @type {Set<WorkspacePackage>} */
  const ordered = new Set()
  /** @param {WorkspacePackage} each @param {string[]} path */
  const visit = (each, path) => {
    if (path.includes(each.name)) throw new Error(`Packages depend on each other: ${[...path, each.name].join(' → ')}.`)
    for (const need of each.needs) {
      const other = known.get(need)
      if (other) visit(other, [...path, each.name])
    }
    ordered.add(each)
  }
  for (const each of packages) visit(each, [])
  return [...ordered]
}
