import { afterWaiting, type Clock, SluiceError } from '@sluice/core'

/**
 * The answer, or an error when the deadline has passed. The command itself cannot be taken back: `late` is given an
 * answer that nobody waits for any more.
 */
export function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  answer: Promise<T>,
  late?: (answer: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false
    const cancel = afterWaiting(clock, ms, () => {
      over = true
      reject(
        new SluiceError('ERR_SLUICE_STORE', `Redis took longer than ${ms} ms to ${what}. Its deadline has passed.`),
      )
    })
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
