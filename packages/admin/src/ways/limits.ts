import type { Ban, Duration, Reply } from '@sluice/core'
import { bad, json } from '../door/answer.ts'
import type { Passage } from '../door/passage.ts'
import { bodyOf, known } from './body.ts'

type Key = string | readonly (string | number)[]

/** `GET /limits/peek?policy=&key=[&route=][&rate=]`; a key of several parts has several `key`. */
export async function peekLimit({ sluice, query }: Passage): Promise<Reply> {
  const policy = query.get('policy')
  const keys = query.getAll('key')
  if (!policy || keys.length === 0) bad('Say which: /limits/peek?policy=search&key=192.0.2.1')
  const key: Key = keys.length === 1 ? keys[0]! : keys
  const verdict = await sluice.peek(policy, {
    key,
    ...optional('route', query.get('route')),
    ...optional('rate', query.get('rate')),
  })
  return json({ policy, key, ...finite(verdict) })
}

/** `POST /limits/reset {"policy":"search","key":"192.0.2.1"}`; without a key, all of them. */
export async function resetLimit({ request, sluice, did }: Passage): Promise<Reply> {
  const body = await bodyOf(request)
  known(body, 'policy', 'key', 'route', 'rate')
  const policy = text(body.policy, 'policy')
  const key = body.key === undefined ? undefined : keyFrom(body.key)
  if (key === undefined && (body.route !== undefined || body.rate !== undefined))
    bad('`route` and `rate` belong to a `key`.')
  const check = key !== undefined && {
    key,
    ...optional('route', body.route === undefined ? null : text(body.route, 'route')),
    ...optional('rate', body.rate === undefined ? null : text(body.rate, 'rate')),
  }
  const what = [`policy:${policy}`, ...(key === undefined ? [] : [`key:${show(key)}`])]
  const count = await did({ action: 'limits.reset', what }, async () => {
    if (!check) return sluice.reset(policy)
    await sluice.reset(policy, check)
    return 1
  })
  return json({ status: 'ok', policy, ...(key === undefined ? {} : { key }), count })
}

/** `GET /bans[?policy=]`. */
export async function listBans({ sluice, query }: Passage): Promise<Reply> {
  return json({ bans: await sluice.bans(query.get('policy') ?? undefined) })
}

/** `POST /bans/add {"policy":"login","key":"192.0.2.1","for":"1h","reason":"ticket 4711"}`. */
export async function addBan({ request, sluice, did }: Passage): Promise<Reply> {
  const body = await bodyOf(request)
  known(body, 'policy', 'key', 'for', 'reason')
  const policy = text(body.policy, 'policy')
  const key = keyFrom(body.key)
  const ban = {
    key,
    for: text(body.for, 'for') as Duration,
    ...optional('reason', body.reason === undefined ? null : text(body.reason, 'reason')),
  }
  let made: Ban | undefined
  await did({ action: 'bans.add', what: [`policy:${policy}`, `key:${show(key)}`] }, async () => {
    made = await sluice.ban(policy, ban)
    return 1
  })
  return json({ status: 'ok', ...made })
}

/** `POST /bans/lift {"policy":"login","key":"192.0.2.1"}`, or with the `subject` of an entry of the list. */
export async function liftBan({ request, sluice, did }: Passage): Promise<Reply> {
  const body = await bodyOf(request)
  known(body, 'policy', 'key', 'subject')
  const policy = text(body.policy, 'policy')
  if ((body.key === undefined) === (body.subject === undefined)) {
    bad('Say whom: either "key", such as an address, or the "subject" of an entry of /bans.')
  }
  const whom = body.key === undefined ? { subject: text(body.subject, 'subject') } : { key: keyFrom(body.key) }
  const named = 'key' in whom ? `key:${show(whom.key)}` : `subject:${whom.subject}`
  const count = await did({ action: 'bans.lift', what: [`policy:${policy}`, named] }, async () =>
    Number(await sluice.unban(policy, whom)),
  )
  return json({ status: 'ok', policy, lifted: count === 1 })
}

const show = (key: Key): string => (typeof key === 'string' ? key : key.join(' '))

const optional = (name: string, value: string | null): Record<string, string> =>
  value === null ? {} : { [name]: value }

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  bad(`\`${name}\` must be a text.`)
}

function keyFrom(value: unknown): Key {
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value) && value.length > 0 && value.every((part) => ['string', 'number'].includes(typeof part)))
    return value
  bad('`key` must be a text, or a list of texts for a key of several parts.')
}

/** JSON has no infinity: what has no end is `null`. */
function finite(verdict: object): object {
  return Object.fromEntries(
    Object.entries(verdict).map(([name, value]) => [name, value === Number.POSITIVE_INFINITY ? null : value]),
  )
}
