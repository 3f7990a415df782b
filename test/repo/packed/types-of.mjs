// node types-of.mjs TARBALL…: what arethetypeswrong finds in each, as JSON. One process for all of them: most of what a run
// takes is loading a compiler and getting it warm.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const cli = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')
const core = createRequire(cli).resolve('@arethetypeswrong/core')
const { checkPackage, createPackageFromTarballData } = await import(pathToFileURL(core).href)

const found = {}
for (const tarball of process.argv.slice(2)) {
  const { types, problems = [] } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
  found[tarball] = types ? problems : [{ kind: 'NoTypes' }]
}
console.log(JSON.stringify(found))
