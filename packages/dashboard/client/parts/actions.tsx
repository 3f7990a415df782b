import { Button, Section } from '../ui/parts.tsx'
import { invalidateAll, invalidateOne } from './invalidate.tsx'

export const Actions = ({ mayPurge }: { readonly mayPurge: boolean }) => (
  <Section
    id="purge"
    title="Purge"
    hint={
      mayPurge ? (
        'Takes out what is stored, in all processes. Each purge is told of in the events, with your name.'
      ) : (
        <>
          Only looking: this page changes nothing. Who runs the server allows more with{' '}
          <code>dashboard(sluice, {'{ actions: true }'})</code>.
        </>
      )
    }
  >
    {mayPurge && (
      <p class="buttons">
        <Button onClick={() => invalidateOne('urls')}>Purge a URL…</Button>
        <Button onClick={() => invalidateOne('tags')}>Purge a tag…</Button>
        <Button onClick={() => invalidateOne('routes')}>Purge a route…</Button>
        <Button danger onClick={invalidateAll}>
          Purge everything…
        </Button>
      </p>
    )}
  </Section>
)
