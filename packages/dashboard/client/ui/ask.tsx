import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Refused } from '../news/server.ts'
import { plain } from './format.ts'
import { say } from './say.tsx'

export interface Field {
  readonly name: string
  readonly label: string
  readonly hint?: string
  readonly value?: string
  readonly optional?: boolean
  /** To choose from: what is sent, and what is shown. */
  readonly of?: readonly (readonly [value: string, label: string])[]
}

export interface Question {
  readonly title: string
  /** What will happen. */
  readonly text: ComponentChildren
  readonly fields: readonly Field[]
  /** Has to be typed. */
  readonly confirm?: string
  readonly go: string
  /** @returns a sentence that says what was done */
  readonly run: (values: Readonly<Record<string, string>>) => Promise<string>
}

let open: (question: Question) => void = () => {}

/** Asks before anything is done. */
export const ask = (question: Question): void => open(question)

export function Asking() {
  const [question, setQuestion] = useState<Question>()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    open = setQuestion
  }, [])
  useEffect(() => {
    if (question) dialog.current?.showModal()
  }, [question])
  return (
    <dialog ref={dialog} aria-labelledby="ask-title" onClose={() => setQuestion(undefined)}>
      {question && <Form question={question} close={() => dialog.current?.close()} />}
    </dialog>
  )
}

const confirmation = 'confirmation'

function Form({ question, close }: { readonly question: Question; readonly close: () => void }) {
  const { title, text, fields, confirm, go, run } = question
  const [values, setValues] = useState(() =>
    Object.fromEntries(fields.map(({ name, value, of }) => [name, value ?? of?.[0]?.[0] ?? ''])),
  )
  const [busy, setBusy] = useState(false)
  const [trouble, setTrouble] = useState<Refused>()
  const set = (name: string) => (event: { readonly currentTarget: { readonly value: string } }) => {
    const { value } = event.currentTarget
    setValues((before) => ({ ...before, [name]: value }))
  }
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (busy) return
    if (confirm !== undefined && values[confirmation]?.trim() !== confirm) {
      return setTrouble(new Refused('Not confirmed', `Type the word “${confirm}” to go on.`))
    }
    setBusy(true)
    setTrouble(undefined)
    try {
      const done = await run(values)
      close()
      say(done)
    } catch (error) {
      setTrouble(error instanceof Refused ? error : new Refused('Failed', String(error)))
      setBusy(false)
    }
  }
  return (
    <form class="asked" onSubmit={submit}>
      <h2 id="ask-title">{title}</h2>
      <div class="what">{text}</div>
      {fields.map(({ name, label, hint, optional, of }) =>
        of ? (
          <fieldset key={name}>
            <legend>{label}</legend>
            {of.map(([value, shown]) => (
              <label key={value} class="choice">
                <input type="radio" name={name} value={value} checked={values[name] === value} onChange={set(name)} />{' '}
                {shown}
              </label>
            ))}
          </fieldset>
        ) : (
          <div key={name}>
            <label for={`ask-${name}`}>{label}</label> {optional && <span class="muted">(may be left out)</span>}
            {hint && (
              <p class="hint" id={`ask-${name}-hint`}>
                {hint}
              </p>
            )}
            <input
              id={`ask-${name}`}
              name={name}
              aria-describedby={hint && `ask-${name}-hint`}
              value={values[name]}
              required={!optional}
              onInput={set(name)}
              autocomplete="off"
              spellcheck={false}
            />
          </div>
        ),
      )}
      {confirm !== undefined && (
        <label>
          <span>
            Type <code>{confirm}</code> to confirm
          </span>
          <input
            name={confirmation}
            value={values[confirmation] ?? ''}
            onInput={set(confirmation)}
            autocomplete="off"
            spellcheck={false}
          />
        </label>
      )}
      <div role="alert">
        {trouble && (
          <p class="trouble">
            <b>{plain(trouble.title)}</b> {plain(trouble.message.slice(0, 1_000))}
          </p>
        )}
      </div>
      <div class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="danger" aria-disabled={busy}>
          {busy ? 'Working…' : go}
        </button>
      </div>
    </form>
  )
}
