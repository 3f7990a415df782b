import type { Frame } from '../../src/page/contract.ts'
import { base, get, Refused } from './server.ts'

/** How the page is connected. `gone`: what is shown is what was known last. */
export type Link =
  | { readonly state: 'connecting' | 'live' | 'polling' }
  | { readonly state: 'gone'; readonly why: string; readonly againAt: number }

interface Listener {
  /** @returns since when the next question should ask */
  frame(frame: Frame): number
  link(link: Link): void
}

const silenceMs = 6_000
const pollMs = 2_000
const streamAgainMs = 60_000
const longestWaitMs = 15_000

/**
 * Follows the server for as long as the page is open: by its stream; by asking where a proxy holds the stream back (then the
 * stream is tried again each minute); and where there is no answer, again and again, each time a little later.
 */
export function follow({ frame: take, link }: Listener): void {
  let source: EventSource | undefined
  let since = 0
  let failures = 0
  let fruitless = 0
  let streamAgainAt = 0
  let silence: ReturnType<typeof setTimeout> | undefined
  let next: ReturnType<typeof setTimeout> | undefined

  const closeStream = (): void => {
    clearTimeout(silence)
    source?.close()
    source = undefined
  }
  /** The stream brings nothing: one question tells whether the server is there. */
  const giveUpStream = (untilMs: number): void => {
    closeStream()
    streamAgainAt = Date.now() + untilMs
    clearTimeout(next)
    void poll()
  }

  function stream(): void {
    closeStream()
    const opened = new EventSource(`${base}/live`)
    source = opened
    silence = setTimeout(() => giveUpStream(streamAgainMs), silenceMs)
    opened.addEventListener('frame', (event) => {
      clearTimeout(next)
      clearTimeout(silence)
      silence = setTimeout(() => giveUpStream(streamAgainMs), silenceMs)
      failures = 0
      fruitless = 0
      since = take(JSON.parse(event.data as string) as Frame)
      link({ state: 'live' })
    })
    // Not left to the browser, which tries again for ever without a word of why.
    opened.onerror = () => {
      if (source === opened) giveUpStream(++fruitless > 2 ? streamAgainMs : 0)
    }
  }

  async function poll(): Promise<void> {
    try {
      since = take(await get<Frame>(`/frame?since=${since}`))
      failures = 0
      const tryStream = source === undefined && Date.now() >= streamAgainAt
      if (tryStream) stream()
      // A stream that broke and is back at once is not worth a word: it has until the next question.
      else link({ state: 'polling' })
      next = setTimeout(poll, pollMs)
    } catch (error) {
      const waitMs = Math.min(longestWaitMs, 500 * 2 ** failures++)
      const why = error instanceof Refused ? `${error.title}: ${error.message}` : String(error)
      closeStream()
      link({ state: 'gone', why, againAt: Date.now() + waitMs })
      next = setTimeout(poll, waitMs)
    }
  }

  // Who comes back to a page that slept wants to see what is, and not what was.
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && source === undefined) {
      clearTimeout(next)
      void poll()
    }
  })
  link({ state: 'connecting' })
  stream()
}
