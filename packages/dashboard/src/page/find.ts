import { bad, type DoorAnswer, heldUnder, json, type Passage } from '@sluice/admin'
import { splitTarget } from '@sluice/core'
import type { Monitor } from '../watch/monitor.ts'
import { whyOf } from '../watch/routes.ts'
import type { FindAnswer } from './contract.ts'

const longest = 8_192

/**
 * `GET /find?url=/cities/7[&origin=https://api.example]`: whether it is stored, and what. The origin is what stands in front of a URL
 * that has none: a server behind a proxy cannot tell it.
 */
export async function find({ access, query, request }: Passage, monitor: Monitor): Promise<DoorAnswer> {
  const url = query.get('url') ?? ''
  const { path } = splitTarget(url.split('#', 1)[0]!)
  if (url === '' || url.length > longest || !path.startsWith('/')) {
    bad('`url` must begin with / or http(s)://, such as /cities/7.')
  }
  const told = access.why({ method: 'GET', path })
  const { answers, note } = await heldUnder(url, { access, query, request })
  const route = told.stored === undefined ? undefined : told.route.replace(/^\S+ /, '')
  const why = whyOf(told, route === undefined ? undefined : monitor.adviceOf(route))
  const answer: FindAnswer = {
    url,
    ...(route === undefined ? {} : { route }),
    lastStored: told.stored ?? null,
    ...(why ? { why } : {}),
    entries: answers.map(({ etag, ...entry }) => ({ ...entry, etag: etag ?? null })),
    ...(note === undefined ? {} : { note }),
  }
  return json(answer)
}
