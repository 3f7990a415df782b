const beatMs = 5

/** What a timer is late by on an idle machine: not worth counting. */
const usualMs = 3

/**
 * What a call answered, and how long it took. Times in which this process could not run, because the machine was busy
 * with something else, are not counted: a deadline can only be kept by who is awake.
 */
export async function timed<T>(call: () => PromiseLike<T> | T): Promise<{ readonly value: T; readonly ms: number }> {
  let lateMs = 0
  let last = performance.now()
  const late = (): number => {
    const ms = performance.now() - last - beatMs
    return ms > usualMs ? ms : 0
  }
  const beat = setInterval(() => {
    lateMs += late()
    last = performance.now()
  }, beatMs)
  const from = performance.now()
  try {
    const value = await call()
    return { value, ms: performance.now() - from - lateMs - late() }
  } finally {
    clearInterval(beat)
  }
}
