import { useEffect } from 'preact/hooks'
import type { Frame } from '../../src/page/contract.ts'
import type { Link } from '../news/follow.ts'
import { type Known, lately, thisProcess } from '../news/known.ts'
import { clock, count, duration, plain, rate, share } from '../ui/format.ts'
import { Text } from '../ui/parts.tsx'
import { useNow } from '../ui/use.ts'

interface Props {
  readonly link: Link
  readonly known: Known | undefined
  /** When something was heard last. */
  readonly heardAt: number
}

const inWords: Readonly<Record<Link['state'], string>> = {
  connecting: 'Connecting',
  live: 'Live',
  polling: 'Polling',
  gone: 'No answer',
}

export function Top({ link, known, heardAt }: Props) {
  const { requests, refused, hitRate } = lately(known?.samples ?? [])
  const totals = known?.frame.totals
  const state = inWords[link.state]
  useEffect(() => {
    document.title = link.state === 'gone' ? 'No answer – Sluice' : 'Sluice'
  }, [link.state])
  return (
    <header class={link.state === 'gone' ? 'top old' : 'top'}>
      <div class="bar1">
        <h1>Sluice</h1>
        <p class={`state ${link.state}`}>
          <span class="dot" aria-hidden="true" /> {state}
        </p>
        <p class="of">{known ? <Whose frame={known.frame} /> : 'Waiting for the first figures'}</p>
      </div>
      <p class="unseen" role="status" aria-live="polite">
        {link.state === 'connecting' ? '' : announced[link.state]}
      </p>
      <Trouble link={link} heardAt={heardAt} known={known} />
      <dl class="tiles">
        <Tile
          name="Requests per second"
          value={known ? rate(requests) : '–'}
          hint="that passed a cache, in the last 10 s"
        />
        <Tile name="Hit rate" value={share(hitRate)} hint="answered without running a handler of their own" />
        <Tile name="Refused per second" value={known ? rate(refused) : '–'} hint="by limits" />
        <Tile
          name="Handler time saved"
          value={totals ? duration(totals.savedMs) : '–'}
          hint="what the hits would have taken"
        />
        <Tile
          name="Stored answers"
          value={known ? count(known.frame.memory.entries) : '–'}
          hint="that can be used again"
        />
      </dl>
    </header>
  )
}

const announced = {
  live: 'The figures are live.',
  polling: 'The figures are asked for every 2 seconds.',
  gone: 'The server does not answer. What is shown is what was known last.',
} as const

function Tile({ name, value, hint }: { readonly name: string; readonly value: string; readonly hint: string }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        <b>{value}</b> <span class="hint">{hint}</span>
      </dd>
    </div>
  )
}

function Whose({ frame }: { readonly frame: Frame }) {
  const self = thisProcess(frame)
  const { processes, joined, backend } = frame
  if (!joined) {
    return (
      <>
        This process only{self && `: pid ${self.pid} on `}
        {self && <Text of={self.host} most={60} />}
        {`. Stored in ${backend === 'redis' ? 'Redis' : plain(backend)}.`}
      </>
    )
  }
  return (
    <>
      {processes.length === 1 ? '1 process' : `${processes.length} processes`} over{' '}
      {backend === 'redis' ? 'Redis' : plain(backend)}
    </>
  )
}

function Trouble({ link, heardAt, known }: Props) {
  const joinError = known?.frame.joinError
  return (
    <>
      {link.state === 'polling' && (
        <p class="notice">
          A proxy seems to hold back the live stream, so this page asks every 2 seconds. Let it pass{' '}
          <code>text/event-stream</code> unbuffered.
        </p>
      )}
      {link.state === 'gone' && <Gone link={link} heardAt={heardAt} />}
      {joinError !== undefined && (
        <p class="notice">
          The other processes cannot be joined, so this is one process alone: <Text of={joinError} />
        </p>
      )}
    </>
  )
}

function Gone({ link, heardAt }: { readonly link: Extract<Link, { state: 'gone' }>; readonly heardAt: number }) {
  const wait = Math.max(0, Math.ceil((link.againAt - useNow(500)) / 1000))
  return (
    <p class="notice bad">
      <Text of={link.why} /> {heardAt > 0 && `What you see is from ${clock(heardAt)}. `}
      <span class="next">Trying again {wait === 0 ? 'now' : `in ${wait} s`}.</span>
    </p>
  )
}
