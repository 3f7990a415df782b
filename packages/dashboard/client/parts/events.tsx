import { useState } from 'preact/hooks'
import type { EventLine } from '../../src/page/contract.ts'
import { clock } from '../ui/format.ts'
import { Empty, Section, Text } from '../ui/parts.tsx'

const shown = 100

export function Events({ events }: { readonly events: readonly EventLine[] }) {
  const [onlyTrouble, setOnlyTrouble] = useState(false)
  const lines = onlyTrouble ? events.filter(({ level }) => level !== 'info') : events
  return (
    <Section
      id="events"
      title="Events"
      hint="What happened lately, the newest first: purges, outages, what was guarded against, what operators did."
      tools={
        <label class="choice">
          <input
            type="checkbox"
            checked={onlyTrouble}
            onChange={({ currentTarget }) => setOnlyTrouble(currentTarget.checked)}
          />{' '}
          Only warnings and errors
        </label>
      }
    >
      {lines.length === 0 ? (
        <Empty>
          {events.length === 0
            ? 'Nothing yet. A purge, an outage or a warning is told of here.'
            : 'No warnings and no errors.'}
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and has to for who has no mouse
        <ol class="events" tabIndex={0} aria-label="Events, the newest first">
          {lines
            .slice(-shown)
            .reverse()
            .map((line) => (
              <Line key={`${line.at}/${line.id}`} line={line} />
            ))}
        </ol>
      )}
    </Section>
  )
}

function Line({ line: { at, level, event, message, fields } }: { readonly line: EventLine }) {
  return (
    <li class={level}>
      <time dateTime={new Date(at).toISOString()}>{clock(at)}</time> <span class="level">{level}</span>{' '}
      <code>
        <Text of={event} most={60} />
      </code>
      <p>
        <Text of={message} />
      </p>
      {Object.entries(fields)
        .slice(0, 8)
        .map(([name, value]) => (
          <span class="field" key={name}>
            <Text of={name} most={40} />: <Text of={value} most={160} />
          </span>
        ))}
    </li>
  )
}
