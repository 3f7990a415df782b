import { afterWaiting, type Clock, SluiceError } from '@sluice/core'

/**
 * The answer, or an error when the deadline has passed. The command itself cannot be taken back: `late` is given an
 * answer that nobody waits for any more.
 *
 * @param moreMs - asked when the time is up: how much longer it may take than `ms`, as far as can be told by then
 */
export function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  answer: Promise<T>,
  late?: (answer: T) => void,
  moreMs?: () => number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false
    let allowedMs = ms
    const expire = (): void => {
      const laterMs = Math.floor(ms + (moreMs?.() ?? 0) - allowedMs)
      if (laterMs >= 1) {
        allowedMs += laterMs
        cancel = afterWaiting(clock, laterMs, expire)
        return
      }
      over = true
      reject(
        new SluiceError('ERR_SLUICE_STORE', `Redis took longer than ${ms} ms to ${what}. Its deadline has passed.`),
      )
    }
    let cancel = afterWaiting(clock, ms, expire)
    answer.then(
      (value) => {
        if (over) return late?.(value)
        cancel()
        resolve(value)
      },
      (error) => {
        cancel()
        reject(error)
      },
    )
  })
}
