import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run.mjs'
import { ROOT, say, UserError } from './say.mjs'
import { workspacePackages } from './workspace.mjs'

const STAMP = join(ROOT, 'node_modules', '.sluice-installed')

/** npm's remarks on the reader's own npm configuration would drown what we have to say. */
export const QUIET_NPM = { npm_config_loglevel: 'error', npm_config_update_notifier: 'false' }

/** The package manager, at the major version the lockfile was written with. */
export const PNPM = ['--yes', 'pnpm@12']

/** Everything that decides what node_modules must hold. */
function fingerprint() {
  const hash = createHash('sha256')
  const workspace = [...workspacePackages('packages'), ...workspacePackages('examples')]
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'].map((name) => join(ROOT, name))
  for (const file of [...files, ...workspace.map(({ dir }) => join(dir, 'package.json'))]) {
    hash.update(file).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

function isInstalled() {
  const linked = [...workspacePackages('packages'), ...workspacePackages('examples')].filter(
    ({ manifest }) => Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).length > 0,
  )
  return (
    existsSync(STAMP) &&
    readFileSync(STAMP, 'utf8') === fingerprint() &&
    linked.every(({ dir }) => existsSync(join(dir, 'node_modules')))
  )
}

/**
 * Brings node_modules in line with the lockfile; does nothing when it already is.
 *
 * @throws UserError when npx is missing or the installation fails; pnpm's own words are printed before
 */
export async function install() {
  if (isInstalled()) return
  say('Installing dependencies with pnpm (the first time takes about a minute)')
  const args = [...PNPM, 'install', '--frozen-lockfile', '--reporter=append-only']
  const { code, interrupted } = await run('npx', args, { env: { ...QUIET_NPM, CI: 'true' } }).catch((error) => {
    if (!(error instanceof UserError)) throw error
    throw new UserError('npx was not found: it comes with npm, which comes with Node.js from https://nodejs.org.')
  })
  if (interrupted) throw new UserError('Stopped.')
  if (code !== 0) throw new UserError('The dependencies could not be installed: the lines above say why.')
  writeFileSync(STAMP, fingerprint())
}
