/** Where the page is mounted: it may be served at /sluice and at /sluice/. */
export const base = location.pathname.replace(/\/+$/, '')

/** What the server said instead of an answer, in its own words. */
export class Refused extends Error {
  readonly title: string

  constructor(title: string, detail: string) {
    super(detail)
    this.title = title
  }
}

const longestMs = 8_000

/** @throws Refused with what the server says, or with what else went wrong */
export async function get<T>(path: string): Promise<T> {
  return answer<T>(path, { headers: { accept: 'application/json' } })
}

/** @throws Refused with what the server says, or with what else went wrong */
export async function post<T>(path: string, body: unknown): Promise<T> {
  return answer<T>(path, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

async function answer<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response
  try {
    response = await fetch(base + path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(longestMs) })
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError'
    throw new Refused(
      'No answer',
      late ? `The server took longer than ${longestMs / 1000} s.` : 'The server cannot be reached.',
    )
  }
  const body: unknown = await response.json().catch(() => undefined)
  if (!response.ok) {
    const { title, detail } = (body ?? {}) as { title?: unknown; detail?: unknown }
    throw new Refused(
      typeof title === 'string' ? title : `${response.status} ${response.statusText}`.trim(),
      typeof detail === 'string' ? detail : `The server answered with status ${response.status}.`,
    )
  }
  if (body === undefined) {
    throw new Refused('Not an answer', 'What came is not JSON: perhaps a page to sign in. Reload this page.')
  }
  return body as T
}
