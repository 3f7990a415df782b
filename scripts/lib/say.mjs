import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

/** A failure the reader can act on: it is printed as its sentence, without a stack. */
export class UserError extends Error {}

/**
 * One line on what happens next. It goes to stderr, so that stdout carries results alone.
 *
 * @param {string} text
 */
export function say(text) {
  process.stderr.write(`› ${text}\n`)
}

/**
 * Runs a script's main function and turns its end into an exit code.
 *
 * @param {() => Promise<number>} main returns the exit code
 */
export async function runMain(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    const text = error instanceof UserError ? error.message : error instanceof Error ? error.stack : error
    process.stderr.write(`${text}\n`)
    process.exitCode = 1
  }
}
