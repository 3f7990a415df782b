import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { workspacePackages } from '../../../scripts/lib/workspace.mjs'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** A package as it would be published. */
export interface Packed {
  name: string
  tarball: string
  /** The tarball, unpacked. */
  dir: string
}

/** What a program answered; it is an error only when the test says so. */
export interface Result {
  code: number
  output: string
}

/** Runs a program to its end; it never rejects, so that a failure shows its output in the assertion. */
export function exec(command: string, args: readonly string[], cwd = ROOT): Promise<Result> {
  return new Promise((resolve) => {
    const env: NodeJS.ProcessEnv = { ...process.env, npm_config_loglevel: 'error', CI: 'true', NO_COLOR: '1' }
    // Meant for the Jest we run under, and not for what it starts.
    delete env.NODE_OPTIONS
    delete env.FORCE_COLOR
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, output: `${stdout}${stderr}` })
    })
  })
}

/** Runs a JavaScript program of the repository's own node_modules. */
export function tool(script: string, args: readonly string[], cwd?: string): Promise<Result> {
  return exec(process.execPath, [join(ROOT, 'node_modules', script), ...args], cwd)
}

export function pnpm(args: readonly string[], cwd?: string): Promise<Result> {
  return exec('npx', ['--yes', 'pnpm@12', ...args], cwd)
}

/**
 * Builds every package, packs it as `npm publish` would, and unpacks it again.
 *
 * @throws Error with the output of the step that failed
 */
export async function packAll(into: string): Promise<Packed[]> {
  await must(exec(process.execPath, ['scripts/build.mjs']), 'The build failed')
  await must(pnpm(['-r', '--filter', './packages/*', 'pack', '--pack-destination', into]), 'pnpm pack failed')
  return Promise.all(
    workspacePackages('packages').map(async ({ name, manifest }) => {
      const stem = name.replace('@', '').replace('/', '-')
      const tarball = join(into, `${stem}-${manifest.version}.tgz`)
      const dir = join(into, stem)
      mkdirSync(dir)
      await must(exec('tar', ['-xzf', tarball, '-C', dir, '--strip-components=1']), 'tar failed')
      return { name, tarball, dir }
    }),
  )
}

/** @throws Error unless the program succeeded */
export async function must(result: Promise<Result>, what: string): Promise<void> {
  const { code, output } = await result
  if (code !== 0) throw new Error(`${what}:\n${output}`)
}
