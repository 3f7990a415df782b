import type { Reply } from '@sluice/core'
import { problem } from './answer.ts'
import { type DoorRequest, header, hostOf } from './request.ts'

const title = 'Not from there'

/**
 * Whether a request that changes something may have been made by somebody else's page in an operator's browser. Such a page can
 * send forms, and with these no JSON and no method of its own, without the browser asking first; and a browser says where
 * a request came from.
 */
export function crossSite(request: DoorRequest): Reply | undefined {
  const site = header(request, 'sec-fetch-site')
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return problem(
      403,
      title,
      'This request was made by a page of another site. Only pages of this origin may change anything.',
    )
  }
  const origin = header(request, 'origin')
  if (origin !== undefined && hostIn(origin) !== hostOf(request).toLowerCase()) {
    return problem(
      403,
      title,
      'The Origin of this request is not the host it asks. Only pages of this origin may change anything.',
    )
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

function hostIn(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase()
}
