import { AsyncLocalStorage } from 'node:async_hooks'

type Failed = (error: unknown) => void

/**
 * Whose errors these are. Of the module, because so is what is watched: a process has one place where its uncaught errors
 * arrive, and of two copies of this file the second finds it taken.
 */
const running = new AsyncLocalStorage<Failed>()
let windows = 0

/** Where nobody's request is under way: a refresh is begun by a client's, whose context is not its own. */
const outside = AsyncLocalStorage.snapshot()

/** What a handler leaves behind may fail when its response has ended already. Milliseconds. */
const graceMs = 1_000

/**
 * Runs what may fail late: in a timer, in a promise nobody waits for, in a stream nobody listens to. For a client's request
 * that ends the process, and so be it; a request that no client made must not. Only while it runs, and a second longer:
 * following calls through timers and promises has a price on node 20.
 *
 * @param run - resolves when it is over; never rejects
 * @param failed - told of what was thrown, however late
 */
export async function withLateErrors(run: () => Promise<void>, failed: Failed): Promise<void> {
  open()
  try {
    await outside(() => running.run(failed, run))
  } finally {
    setTimeout(close, graceMs).unref()
  }
}

function open(): void {
  windows++
  if (windows === 1) watch()
}

function close(): void {
  windows--
  if (windows > 0) return
  if (watching) process.setUncaughtExceptionCaptureCallback(null)
  watching = false
  running.disable()
}

let watching = false

function watch(): void {
  try {
    // Somebody else looks after such errors already (a debugger, say).
    if (process.hasUncaughtExceptionCaptureCallback()) return
    process.setUncaughtExceptionCaptureCallback(caught)
    watching = true
  } catch {
    // With node's own domains loaded it cannot be set.
  }
}

function caught(error: unknown): void {
  const failed = running.getStore()
  if (failed) {
    failed(error)
    return
  }
  // Not ours: it takes the way it would have taken without us, to listeners or to the end of the process.
  process.setUncaughtExceptionCaptureCallback(null)
  watching = false
  process.nextTick(() => {
    setImmediate(() => {
      if (windows > 0) watch()
    })
    throw error
  })
}
