import type { Reply } from '@sluice/core'
import { problem } from './answer.ts'
import { type DoorRequest, header, hostOf } from './request.ts'

/**
 * Whether a request that changes something may have been made by somebody else's page in an operator's browser. Such a page can
 * send forms, and with these no JSON and no method of its own, without the browser asking first; and a browser says where
 * a request came from.
 */
export function crossSite(request: DoorRequest): Reply | undefined {
  if (fromElsewhere(request)) {
    const detail = 'A page of another site has made this request. Only pages of this origin may change anything.'
    return problem(403, 'Not from there', detail)
  }
  if (request.raw.method === 'PURGE') return undefined
  const type = (header(request, 'content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase()
  if (type === 'application/json') return undefined
  return problem(
    415,
    'Not that type',
    'What changes something is sent with `Content-Type: application/json`, or by the method PURGE.',
    ['Accept-Post', 'application/json'],
  )
}

/** Whether the browser says that a page of another origin has made it. */
export function fromElsewhere(request: DoorRequest): boolean {
  const site = header(request, 'sec-fetch-site')
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const origin = header(request, 'origin')
  return origin !== undefined && hostIn(origin) !== hostOf(request).toLowerCase()
}

function hostIn(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase()
}
