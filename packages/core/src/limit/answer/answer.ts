import type { Clock } from '../../base/clock.ts'
import type { RequestContext } from '../../exchange/context.ts'
import type { Reply } from '../../exchange/exchange.ts'
import { ianaProblem, problem } from '../../exchange/problem.ts'
import type { Denial, DenialBody } from '../policy/options.ts'
import { type AnsweringQuota, sf } from '../policy/policy.ts'
import type { Verdict } from '../store/store.ts'
import { isNear } from './near-limit.ts'

/** A quota and what was decided about it. */
export interface QuotaVerdict {
  readonly quota: AnsweringQuota
  readonly verdict: Verdict
}

/**
 * The type of a refusal no waiting can help: the cost is above the limit. The registry has none for it, and with
 * `quota-exceeded` clients would try again for ever; such an answer has no Retry-After either.
 */
export const costAboveLimit = 'urn:sluice:problem:cost-above-limit'

/** Whether this verdict is a reason to refuse. */
export function refuses({ quota, verdict }: QuotaVerdict): boolean {
  return !verdict.allowed && !quota.shadow
}

/**
 * The fields that tell a client about its quotas, as a flat list; empty where no policy sends any. The calendar is looked at
 * only where a field has a date.
 */
export function quotaFields(told: readonly QuotaVerdict[], clock: Pick<Clock, 'wall'>): string[] {
  let policies = ''
  let limits = ''
  let warnings = ''
  let near = false
  let tightest: QuotaVerdict | undefined
  for (const entry of told) {
    const { headers } = entry.quota
    if (
      headers === false ||
      (entry.verdict.via !== 'store' && entry.verdict.via !== 'overflow' && entry.verdict.via !== 'local')
    )
      continue
    if (headers !== 'legacy') {
      policies += (policies && ', ') + (entry.quota.policyMemberAt?.(entry.verdict.atMs) ?? entry.quota.policyMember)
      // Refused ones first: some clients read one member.
      const member = limitMember(entry)
      if (!limits) limits = member
      else limits = refuses(entry) ? `${member}, ${limits}` : `${limits}, ${member}`
    }
    if (entry.quota.warnAt !== undefined && isNear(entry)) {
      if (headers !== 'legacy') warnings += (warnings && ', ') + warningMember(entry)
      if (headers !== 'draft-11') near = true
    }
    if (headers !== 'draft-11' && (!tightest || left(entry) < left(tightest))) tightest = entry
  }
  // Of its length at once: a list that grows makes room for a dozen more.
  const fields = policies ? ['RateLimit-Policy', policies, 'RateLimit', limits] : []
  if (tightest) {
    const { limit, remaining, resetMs } = tightest.verdict
    fields.push('X-RateLimit-Limit', String(limit), 'X-RateLimit-Remaining', String(remaining))
    fields.push('X-RateLimit-Reset', String(Math.ceil((clock.wall() + resetMs) / 1_000)))
  }
  if (warnings) fields.push('RateLimit-Warning', warnings)
  if (near) fields.push('X-RateLimit-NearLimit', 'true')
  return fields
}

function left({ verdict }: QuotaVerdict): number {
  return verdict.allowed ? verdict.remaining / verdict.limit : -1
}

/** A member of `RateLimit`: what is left, and in how many seconds there will be more. */
function limitMember({ quota, verdict }: QuotaVerdict): string {
  return `${quota.limitMember}${sf(verdict.remaining)};t=${sf(Math.max(1, Math.ceil(verdict.resetMs / 1_000)))}`
}

/** A member of `RateLimit-Warning`: what is left, of how much. */
function warningMember({ quota, verdict }: QuotaVerdict): string {
  return `${quota.limitMember}${sf(verdict.remaining)};q=${sf(verdict.limit)}`
}

/**
 * How long to wait, by several refusals. Whoever is shut out is told when that is over; that a cost can never be admitted he is
 * told then.
 */
export function waitOf(refusals: readonly QuotaVerdict[]): number {
  const told = refusals.some(isBan) ? refusals.filter(({ verdict }) => !verdict.permanent) : refusals
  return Math.max(...told.map(({ verdict }) => verdict.retryAfterMs))
}

function isBan({ verdict }: QuotaVerdict): boolean {
  return verdict.banned !== undefined
}

/** What is said of a refusal, before it is put in words. */
export function denialOf(request: RequestContext, told: readonly QuotaVerdict[]): Denial {
  const violated = told.filter(refuses)
  const out = violated.every(({ verdict }) => verdict.via === 'closed')
  const banned = violated.some(isBan)
  const permanent = !banned && violated.some(({ verdict }) => verdict.permanent)
  return {
    request,
    status: out ? 503 : 429,
    // A ban has the name of its policy, whose quota may be used up besides.
    violated: [...new Set(violated.map(({ quota }) => quota.name))],
    permanent,
    banned,
    retryAfterMs: waitOf(violated),
    verdicts: told.map(({ quota, verdict }) => ({ policy: quota.name, verdict })),
  }
}

/**
 * The refusal: 429 (RFC 6585 §4) as `quota-exceeded`, as {@link costAboveLimit}, or as `abnormal-usage-detected` of whoever is shut out; 403 where a list names the client; 503 as `temporary-reduced-capacity`
 * where only a store that is out is to blame. Never stored by any cache.
 *
 * @param body - in place of the problem; `status`: in place of the denial's
 */
export function denialReply(
  denial: Denial,
  { told, clock }: { readonly told: readonly QuotaVerdict[]; readonly clock: Pick<Clock, 'wall'> },
  { body, status = denial.status }: { readonly body?: DenialBody | undefined; readonly status?: number } = {},
): Reply {
  const fields: string[] = []
  if (!denial.permanent) fields.push('Retry-After', String(Math.max(1, Math.ceil(denial.retryAfterMs / 1_000))))
  fields.push(...quotaFields(told, clock))
  return body === undefined ? problem({ ...problemOf(denial), status }, fields) : ownReply(status, fields, body)
}

/** What kind of refusal it is. The type is the refusal's own, also where the policy has chosen another status. */
export function problemOf(denial: Denial) {
  const { status, violated } = denial
  if (status === 503) {
    const title = 'Request cannot be satisfied due to temporary server capacity constraints'
    return { type: ianaProblem('temporary-reduced-capacity'), title, status }
  }
  if (status === 403) return { title: 'Forbidden', status, 'violated-policies': violated }
  if (denial.banned) {
    const title = 'Request not satisfied due to detection of abnormal request pattern'
    return { type: ianaProblem('abnormal-usage-detected'), title, status, 'violated-policies': violated }
  }
  const type = denial.permanent ? costAboveLimit : ianaProblem('quota-exceeded')
  const title = denial.permanent
    ? 'Request cannot be satisfied as it costs more than the whole quota'
    : 'Request cannot be satisfied as assigned quota has been exceeded'
  return { type, title, status, 'violated-policies': violated }
}

function ownReply(status: number, fields: readonly string[], given: DenialBody): Reply {
  const { contentType, body } = ownBody(given)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return {
    status,
    fields: [
      'Content-Type',
      contentType,
      'Cache-Control',
      'no-store',
      ...fields,
      'Content-Length',
      String(bytes.byteLength),
    ],
    body: bytes,
  }
}

function ownBody(given: DenialBody): { contentType: string; body: string | Uint8Array } {
  if (typeof given === 'string') return { contentType: 'text/plain; charset=utf-8', body: given }
  if (given instanceof Uint8Array) return { contentType: 'application/octet-stream', body: given }
  const { contentType, body } = given as { contentType?: unknown; body?: unknown }
  if (typeof contentType === 'string' && (typeof body === 'string' || body instanceof Uint8Array)) {
    // What Node would refuse to send must not become an exception of ours.
    if (/[^\t\x20-\x7e]/.test(contentType)) throw new TypeError('`contentType` is not a field value')
    return { contentType, body }
  }
  const json = JSON.stringify(given)
  if (json === undefined) throw new TypeError('the body cannot be written as JSON')
  return { contentType: 'application/json', body: json }
}
