import { useEffect, useRef, useState } from 'preact/hooks'
import type { FindAnswer, FoundEntry } from '../../src/page/contract.ts'
import { get } from '../news/server.ts'
import { bytes, clock, count, duration, plain } from '../ui/format.ts'
import { Button, Text, WhyNot } from '../ui/parts.tsx'
import { invalidate } from './invalidate.tsx'

let search: (url: string) => void = () => {}

/** Searches a URL as if it had been typed, and leads there. */
export const find = (url: string): void => search(url)

export function Find({ mayPurge }: { readonly mayPurge: boolean }) {
  const [url, setUrl] = useState('')
  const [answer, setAnswer] = useState<FindAnswer>()
  const [trouble, setTrouble] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const asked = useRef(0)

  const look = async (wanted: string): Promise<void> => {
    if (wanted === '') return
    const turn = ++asked.current
    setTrouble('')
    try {
      const found = await get<FindAnswer>(`/find?${new URLSearchParams({ url: wanted, origin: location.origin })}`)
      if (turn === asked.current) setAnswer(found)
    } catch (error) {
      if (turn !== asked.current) return
      setAnswer(undefined)
      setTrouble(error instanceof Error ? error.message : String(error))
    }
  }
  useEffect(() => {
    search = (wanted) => {
      setUrl(wanted)
      input.current?.focus()
      void look(wanted)
    }
  })
  return (
    <search class="find" aria-label="A URL">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void look(url.trim())
        }}
      >
        <label>
          <span>URL</span>
          <input
            ref={input}
            type="search"
            name="url"
            value={url}
            placeholder="/cities/7?lang=en"
            onInput={({ currentTarget }) => setUrl(currentTarget.value)}
            autocomplete="off"
            spellcheck={false}
          />
        </label>
        <button type="submit">Search</button>
      </form>
      <p class="unseen" role="status">
        {answer && verdict(answer)}
      </p>
      <div role="alert">{trouble !== '' && <p class="trouble">{plain(trouble.slice(0, 1_000))}</p>}</div>
      {answer && <Found answer={answer} mayPurge={mayPurge} />}
    </search>
  )
}

function verdict({ entries, lastStored, note }: FindAnswer): string {
  if (entries.length > 0) return entries.length === 1 ? 'It is stored.' : `It is stored: ${entries.length} variants.`
  if (lastStored === false) return 'It is not stored.'
  if (note !== undefined) return 'Nothing was found.'
  return lastStored === null
    ? 'It is not stored, and this process has not answered it lately.'
    : 'It is not stored any more.'
}

function Found({ answer, mayPurge }: { readonly answer: FindAnswer; readonly mayPurge: boolean }) {
  const { url, route, entries, why, note } = answer
  return (
    <div class="found">
      <p>
        <b>{verdict(answer)}</b> <Text of={url} />
        {route !== undefined && (
          <>
            {' '}
            of route <Text of={route} />
          </>
        )}{' '}
        {mayPurge && entries.length > 0 && (
          <Button of={url} onClick={() => invalidate('urls', url)}>
            Purge…
          </Button>
        )}
      </p>
      {note !== undefined && (
        <p class="hint">
          <Text of={note} />
        </p>
      )}
      {why && <WhyNot why={why} />}
      <ul class="entries">
        {entries.map((entry) => (
          <li key={entry.key}>
            <Entry entry={entry} />
          </li>
        ))}
      </ul>
    </div>
  )
}

const list = (texts: readonly string[], empty: string) =>
  texts.length === 0
    ? empty
    : texts.map((text, index) => (
        <span key={text}>
          {index > 0 && ', '}
          <Text of={text} most={120} />
        </span>
      ))

function Entry({ entry }: { readonly entry: FoundEntry }) {
  const codings = entry.codings.filter((coding) => coding !== 'identity')
  const { freshForMs, usableForMs } = entry
  return (
    <dl>
      <dt>Key</dt>
      <dd>
        <Text of={entry.key} />
      </dd>
      <dt>Told apart by</dt>
      <dd>{list(entry.terms, 'nothing: one answer for everybody')}</dd>
      <dt>Freshness</dt>
      <dd>
        {freshForMs >= 0 ? `fresh for ${duration(freshForMs)}` : `stale for ${duration(-freshForMs)}`}, usable for{' '}
        {duration(Math.max(0, usableForMs))}; stored at {clock(entry.storedAt)}
      </dd>
      <dt>Answer</dt>
      <dd>
        status {count(entry.status)}, {bytes(entry.bytes)}
        {codings.length > 0 && <>, also as {list(codings, '')}</>}
        {entry.etag !== null && (
          <>
            , ETag <Text of={entry.etag} most={80} />
          </>
        )}
      </dd>
      <dt>Tags</dt>
      <dd>{list(entry.tags, 'none')}</dd>
      <dt>Given to</dt>
      <dd>
        {entry.shared
          ? 'everybody whose request is told apart by the same'
          : 'who caused it, until another visitor confirms it'}
      </dd>
    </dl>
  )
}
