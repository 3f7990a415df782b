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
  return new ResponseEnding(response, tell)
}

/**
 * A class for its accessor: one in a literal gives each object a shape of its own, which lies in old memory and holds the response and
 * all around it until the next full collection.
 */
class ResponseEnding implements Ending {
  readonly #response: ServerResponse
  readonly #tell: (outcome: Outcome) => void
  readonly #stopWaiting: (() => void) | undefined
  #outcome: Outcome | undefined

  constructor(response: ServerResponse, tell: (outcome: Outcome) => void) {
    this.#response = response
    this.#tell = tell
    // Not `once`: only the first of them is heard anyway, and taking a listener away costs more than it does.
    response.on('finish', () => this.close('sent'))
    const gone = (): void => this.#gone()
    response.on('close', gone)
    if (isGone(response)) gone()
    else this.#stopWaiting = whenConnectionEnds(response, gone)
  }

  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  close(outcome: Outcome): void {
    if (this.#outcome) return
    this.#outcome = outcome
    this.#stopWaiting?.()
    this.#tell(outcome)
  }

  #gone(): void {
    this.close(this.#response.writableFinished ? 'sent' : 'aborted')
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
