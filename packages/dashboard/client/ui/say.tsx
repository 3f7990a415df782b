import { useEffect, useState } from 'preact/hooks'
import { plain } from './format.ts'

interface Said {
  readonly text: string
  readonly bad: boolean
  readonly times: number
}

let tell: (text: string, bad: boolean) => void = () => {}

/** Says what has been done, to those who see the page and to those who hear it. */
export const say = (text: string, bad = false): void => tell(text, bad)

const shownMs = 20_000

/** Where it is said. It is there from the beginning: what appears with its text in it is not read out. */
export function Sayings() {
  const [said, setSaid] = useState<Said>()
  useEffect(() => {
    tell = (text, bad) => setSaid((before) => ({ text, bad, times: (before?.times ?? 0) + 1 }))
  }, [])
  useEffect(() => {
    const timer = said && setTimeout(() => setSaid(undefined), shownMs)
    return () => clearTimeout(timer)
  }, [said])
  return (
    <div class={said ? 'sayings shown' : 'sayings'}>
      <div role="status" aria-live="polite">
        {said && (
          <p key={said.times} class={said.bad ? 'said bad' : 'said'}>
            <b>{said.bad ? 'Not done. ' : 'Done. '}</b>
            {plain(said.text.slice(0, 600))}
          </p>
        )}
      </div>
      {said && (
        <button type="button" onClick={() => setSaid(undefined)}>
          Close<span class="unseen"> the message</span>
        </button>
      )}
    </div>
  )
}
