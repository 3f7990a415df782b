import { post } from '../news/server.ts'
import { ask, type Field } from '../ui/ask.tsx'
import { Text } from '../ui/parts.tsx'

export type Kind = 'urls' | 'tags' | 'routes'

const kinds: Readonly<Record<Kind, { readonly one: string; readonly label: string; readonly hint: string }>> = {
  urls: { one: 'URL', label: 'URL', hint: 'As it is asked for, with its query: /cities/7?lang=en' },
  tags: { one: 'tag', label: 'Tag', hint: 'As the route names it: cities' },
  routes: { one: 'route', label: 'Route', hint: 'As it is mounted: /cities/:id. All that is stored of it.' },
}

const how: Field = {
  name: 'how',
  label: 'How',
  of: [
    ['purge', 'Purge: it is never served again'],
    ['expire', 'Expire: it is stale from now on, and may stand in while it is made anew'],
  ],
}

const done = (soft: boolean, what: string): string => `${soft ? 'Expired' : 'Purged'}: ${what}.`

/** Asks, and then invalidates what is stored of one URL, tag or route. */
export function invalidate(kind: Kind, what: string): void {
  const { one } = kinds[kind]
  ask({
    title: `Purge this ${one}?`,
    text: (
      <>
        <p>
          <Text of={what} />
        </p>
        <p>The next request for what was stored goes to its handler.</p>
      </>
    ),
    fields: [how],
    go: 'Do it',
    run: ({ how }) => send(kind, what, how === 'expire'),
  })
}

/** Asks what of this kind, and then invalidates it. */
export function invalidateOne(kind: Kind): void {
  const { one, label, hint } = kinds[kind]
  ask({
    title: `Purge a ${one}`,
    text: <p>The next request for what was stored goes to its handler.</p>,
    fields: [{ name: 'what', label, hint }, how],
    go: 'Do it',
    run: ({ how, what = '' }) => send(kind, what.trim(), how === 'expire'),
  })
}

async function send(kind: Kind, what: string, soft: boolean): Promise<string> {
  await post('/purge', { [kind]: [what], ...(soft && { soft }) })
  return done(soft, `${kinds[kind].one} ${what.slice(0, 200)}`)
}

/** Asks for a word, and then invalidates all there is. */
export function invalidateAll(): void {
  ask({
    title: 'Purge everything?',
    text: (
      <p>
        All that is stored, of all routes and processes. Every request goes to its handler until the cache has filled
        again.
      </p>
    ),
    fields: [how],
    confirm: 'everything',
    go: 'Purge everything',
    run: async ({ how }) => {
      const soft = how === 'expire'
      await post('/purge', { all: true, confirm: 'everything', ...(soft && { soft }) })
      return done(soft, 'everything')
    },
  })
}
