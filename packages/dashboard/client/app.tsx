import { useEffect, useState } from 'preact/hooks'
import { Charts } from './charts/charts.tsx'
import { follow, type Link } from './news/follow.ts'
import { type Known, learn } from './news/known.ts'
import { Actions } from './parts/actions.tsx'
import { Events } from './parts/events.tsx'
import { Limits } from './parts/limits.tsx'
import { Memory } from './parts/memory.tsx'
import { Processes } from './parts/processes.tsx'
import { Routes } from './parts/routes.tsx'
import { Tags } from './parts/tags.tsx'
import { Top } from './parts/top.tsx'
import { Totals } from './parts/totals.tsx'
import { Urls } from './parts/urls.tsx'
import { Asking } from './ui/ask.tsx'
import { Sayings } from './ui/say.tsx'

const contents = [
  ['traffic', 'Traffic'],
  ['routes', 'Routes'],
  ['urls', 'URLs'],
  ['tags', 'Tags'],
  ['limits', 'Limits'],
  ['memory', 'Memory'],
  ['processes', 'Processes'],
  ['events', 'Events'],
  ['purge', 'Purge'],
] as const

export function App() {
  const [known, setKnown] = useState<Known>()
  const [heardAt, setHeardAt] = useState(0)
  const [link, setLink] = useState<Link>({ state: 'connecting' })
  useEffect(() => {
    let all: Known | undefined
    follow({
      frame(frame) {
        const before = all
        all = learn(all, frame)
        setKnown(all)
        setHeardAt(Date.now())
        // Another process than the one before has told of the newest only: the next question is for all it knows.
        const changed = before !== undefined && all.samples.length < before.samples.length
        return changed ? 0 : (all.samples.at(-1)?.at ?? 0)
      },
      link: setLink,
    })
  }, [])
  const gone = link.state === 'gone'
  const frame = known?.frame
  const mayPurge = frame?.actions.includes('purge') ?? false
  return (
    <>
      <a class="skip" href="#traffic-title">
        Skip to the figures
      </a>
      <Top link={link} known={known} heardAt={heardAt} />
      <nav aria-label="Parts of the page">
        <ul>
          {contents.map(([id, name]) => (
            <li key={id}>
              <a href={`#${id}-title`}>{name}</a>
            </li>
          ))}
        </ul>
      </nav>
      <main class={gone ? 'old' : undefined}>
        {known && frame ? (
          <>
            <Charts samples={known.samples} />
            <Totals totals={frame.totals} />
            <Routes mayPurge={mayPurge} gone={gone} />
            <Urls top={frame.top} mayPurge={mayPurge} />
            <div class="pair">
              <Tags tags={frame.tags} mayPurge={mayPurge} />
              <Memory memory={frame.memory} />
            </div>
            <Limits frame={frame} gone={gone} />
            <Processes frame={frame} />
            <Events events={known.events} />
            <Actions mayPurge={mayPurge} />
          </>
        ) : (
          <p class="empty first">
            {gone ? 'There are no figures yet: the server does not answer.' : 'Waiting for the first figures…'}
          </p>
        )}
      </main>
      <Sayings />
      <Asking />
    </>
  )
}
