import type { OperatorAccess } from '@sluice/core'
import { addBan, liftBan, listBans, peekLimit, resetLimit } from '../ways/limits.ts'
import { examine, stats, why } from '../ways/look.ts'
import { postPurge, purgeMethod } from '../ways/purge.ts'
import { admit } from './admit.ts'
import { bad, type DoorAnswer, json, problem, replyTo } from './answer.ts'
import { crossSite } from './cross-site.ts'
import type { Action, DoorRules } from './options.ts'
import { auditing, type Operated, type Passage } from './passage.ts'
import type { DoorRequest } from './request.ts'

/** One thing that can be asked of a door. */
export interface Way {
  readonly method: 'GET' | 'POST'
  /** Looking needs none. */
  readonly action?: Action
  readonly go: (passage: Passage) => Promise<DoorAnswer>
}

/** By the path below the mount, exactly as it was sent: what is spelt otherwise is not there. */
export type Ways = ReadonlyMap<string, Way>

/** What every door has. */
export const operatorWays: Ways = new Map<string, Way>([
  ['/stats', { method: 'GET', go: stats }],
  ['/why', { method: 'GET', go: why }],
  ['/doctor', { method: 'GET', go: examine }],
  ['/purge', { method: 'POST', action: 'purge', go: postPurge }],
  ['/limits/peek', { method: 'GET', go: peekLimit }],
  ['/limits/reset', { method: 'POST', action: 'limits', go: resetLimit }],
  ['/bans', { method: 'GET', go: listBans }],
  ['/bans/add', { method: 'POST', action: 'bans', go: addBan }],
  ['/bans/lift', { method: 'POST', action: 'bans', go: liftBan }],
])

/** Says what there is to ask. */
export const listed = (ways: Ways): Way => ({
  method: 'GET',
  go: async () => json({ routes: [...ways].map(([path, { method }]) => `${method} ${path}`).concat('PURGE /<url>') }),
})

export interface DoorParts {
  readonly ways: Ways
  readonly sluice: Operated
  readonly access: OperatorAccess
  readonly rules: DoorRules
  /** For errors of `authorize` and what nobody expected. */
  readonly failed: (error: unknown) => void
}

/** A request's way through the door. Never rejects. */
export async function openDoor(parts: DoorParts, request: DoorRequest): Promise<DoorAnswer> {
  const { rules, access, sluice, failed } = parts
  try {
    // Before anything of the request is looked at: who is not let in learns nothing, not even what is there.
    const visitor = await admit(request, rules, failed)
    if ('status' in visitor) return visitor
    // Only now: whoever tries to get in is limited like everybody.
    access.exempt({ native: request.raw, incoming: request.raw })
    const mark = request.target.indexOf('?')
    const query = new URLSearchParams(mark < 0 ? '' : request.target.slice(mark + 1))
    const passage = { sluice, access, rules, request, query, did: auditing(access, visitor.who) }
    return await pass(passage, parts.ways, mark < 0 ? request.target : request.target.slice(0, mark))
  } catch (error) {
    const reply = replyTo(error)
    if (reply.status === 500) failed(error)
    return reply
  }
}

async function pass(passage: Passage, ways: Ways, path: string): Promise<DoorAnswer> {
  const { request } = passage
  const method = request.raw.method ?? 'GET'
  if (method === 'PURGE') return change(passage, 'purge', purgeMethod)
  const way = ways.get(path)
  if (!way) return problem(404, 'Nothing is there', `See GET / of this door. There is: ${[...ways.keys()].join(', ')}.`)
  if (way.method === 'GET' ? !['GET', 'HEAD'].includes(method) : method !== 'POST') {
    const allow = way.method === 'GET' ? 'GET, HEAD' : 'POST'
    return problem(405, 'Not by that method', `${path} is asked by ${allow}.`, ['Allow', allow])
  }
  if (way.action) return change(passage, way.action, way.go)
  if (request.target.length > 8_192) bad('The URL is too long.')
  return way.go(passage)
}

async function change(passage: Passage, action: Action, go: Way['go']): Promise<DoorAnswer> {
  const refused = crossSite(passage.request)
  if (refused) return refused
  if (passage.rules.actions.has(action)) return go(passage)
  return problem(403, 'Only looking is allowed', `This door does no \`${action}\`. See its option \`actions\`.`)
}
