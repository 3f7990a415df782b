import type { ServerResponse } from 'node:http'
import type { Outcome } from '@sluice/core'
import { whenConnectionEnds } from './connection-end.ts'

/** How a response ended, told once: by the connection, or before it by whoever sees the body break off. */
export interface Ending {
  /** `undefined`: it has not. */
  readonly outcome: Outcome | undefined
  close(outcome: Outcome): void
}

/** Watches for the end of a response, which may have come already: a client goes away while a store is asked. */
export function endingOf(response: ServerResponse, tell: (outcome: Outcome) => void): Ending {
  let outcome: Outcome | undefined
  let stopWaiting = (): void => {}
  const close = (how: Outcome): void => {
    if (outcome) return
    outcome = how
    stopWaiting()
    tell(how)
  }
  const gone = (): void => close(response.writableFinished ? 'sent' : 'aborted')
  // Not `once`: only the first of them is heard anyway, and taking a listener away costs more than it does.
  response.on('finish', () => close('sent'))
  response.on('close', gone)
  if (isGone(response)) gone()
  else stopWaiting = whenConnectionEnds(response, gone)
  return {
    get outcome() {
      return outcome
    },
    close,
  }
}

/**
 * Calls back once when a response is over, whoever ended it and however: nobody waits for an answer any more.
 *
 * @returns stops listening
 */
export function whenOver(response: ServerResponse, over: () => void): () => void {
  let stopWaiting = (): void => {}
  const stop = (): void => {
    response.off('close', told)
    stopWaiting()
  }
  const told = (): void => {
    stop()
    over()
  }
  if (isGone(response)) {
    over()
    return stop
  }
  response.once('close', told)
  stopWaiting = whenConnectionEnds(response, told)
  return stop
}

/** Of HTTP/2 the stream says it. */
function isGone(response: ServerResponse): boolean {
  return response.destroyed || (response as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}
