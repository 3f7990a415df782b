import { spawn } from 'node:child_process'
import { ROOT, UserError } from './say.mjs'

/** @typedef {{ code: number, interrupted: boolean, output: string }} Ended */

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])

// npm and the terminal both deliver a Ctrl-C, within milliseconds of each other; programs take a second one for
// "at once". What arrives within this time of the first is taken for the same key press.
const SAME_KEY_PRESS_MS = 500

/**
 * Runs a program to its end. It gets a process group of its own, so that every signal reaches it, and what it
 * started, exactly once.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, capture?: boolean }} [options]
 *   `capture` keeps the output (both streams, in order) instead of showing it
 * @returns {Promise<Ended>} `code` is 128 + the signal's number when a signal ended it; `interrupted` says that we
 *   were told to stop while it ran
 * @throws UserError when the program does not exist
 */
export function run(command, args, options = {}) {
  const grouped = process.platform !== 'win32'
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: options.capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    detached: grouped,
    // npx is a batch file on Windows, which only a shell can start.
    shell: !grouped && command === 'npx',
  })

  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
    })
  }

  let interrupted = false
  let lastSignalMs = 0
  const forward = (/** @type {NodeJS.Signals} */ signal) => {
    const nowMs = Date.now()
    if (nowMs - lastSignalMs < SAME_KEY_PRESS_MS) return
    lastSignalMs = nowMs
    interrupted = true
    try {
      if (grouped && child.pid) process.kill(-child.pid, signal)
      else child.kill(signal)
    } catch {
      // It has just ended by itself.
    }
  }
  for (const signal of SIGNALS) process.on(signal, forward)

  return new Promise((resolve, reject) => {
    const settle = () => {
      for (const signal of SIGNALS) process.off(signal, forward)
    }
    child.once('error', (error) => {
      settle()
      const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT'
      reject(missing ? new UserError(`The command "${command}" was not found.`) : error)
    })
    child.once('close', (code, signal) => {
      settle()
      const numbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }
      const bySignal = 128 + (numbers[/** @type {keyof typeof numbers} */ (signal)] ?? 1)
      resolve({ code: code ?? bySignal, interrupted, output })
    })
  })
}

/**
 * Runs the JavaScript program of an installed package with this very Node, without a shell in between.
 *
 * @param {string} script path below node_modules, such as `jest/bin/jest.js`
 * @param {readonly string[]} args
 * @param {Parameters<typeof run>[2] & { nodeArgs?: string[] }} [options]
 */
export function runTool(script, args, options = {}) {
  return run(process.execPath, [...(options.nodeArgs ?? []), `${ROOT}/node_modules/${script}`, ...args], options)
}
