import { line, statsTable } from './print.ts'
import { type Remote, remoteOf, type Said, spanOf } from './remote.ts'
import type { Task } from './task.ts'

/** `stats`, once or until it is stopped. */
export async function statsCommand({ given, env, io, signal }: Task): Promise<number> {
  const { watch, json, interval = '2s' } = given.values
  const remote = remoteOf(given, env, signal)
  const everyMs = spanOf('--interval', interval)
  let before: { readonly said: Said; readonly at: number } | undefined
  for (;;) {
    const said = await look(remote, signal)
    if (said === undefined) return 0
    const at = performance.now()
    const text = json ? line(said) : statsTable(said, before && { said: before.said, ms: at - before.at })
    // In a terminal in one place; elsewhere one below the other.
    if (watch && !json && io.out.isTTY) io.out.write('\x1b[H\x1b[J')
    else if (before && !json) io.out.write('\n')
    io.out.write(text)
    if (!watch) return 0
    before = { said, at }
    if (!(await pause(everyMs, signal))) return 0
  }
}

/** `undefined`: it was stopped meanwhile. */
async function look(remote: Remote, signal: AbortSignal | undefined): Promise<Said | undefined> {
  try {
    return await remote.get('/stats')
  } catch (error) {
    if (signal?.aborted) return undefined
    throw error
  }
}

/** @returns whether it goes on */
function pause(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve(true)
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
