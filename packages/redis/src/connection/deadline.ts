import { type Clock, SluiceError } from '@sluice/core'

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
    let state: 'waiting' | 'answered' | 'over' = 'waiting'
    const expire = (): void => {
      if (state === 'answered') return
      state = 'over'
      reject(
        new SluiceError('ERR_SLUICE_STORE', `Redis took longer than ${ms} ms to ${what}. Its deadline has passed.`),
      )
    }
    // Where this process itself was busy, the answer may be there and only not read yet: timers run before sockets.
    const cancel = clock.after(ms, () => setImmediate(expire))
    const settle = (answered: () => void): boolean => {
      if (state === 'over') return false
      state = 'answered'
      cancel()
      answered()
      return true
    }
    answer.then(
      (value) => settle(() => resolve(value)) || late?.(value),
      (error) => settle(() => reject(error)),
    )
  })
}
