import { durationMs } from '@sluice/core'
import { type Given, Misused } from './args.ts'

// biome-ignore lint/suspicious/noExplicitAny: what the door answers, which is of the same version or says that it is not.
export type Said = any

/** The door of an application, asked over HTTP. */
export interface Remote {
  readonly url: string
  get(path: string, query?: Readonly<Record<string, string | readonly string[] | undefined>>): Promise<Said>
  post(path: string, body: object): Promise<Said>
}

/** @throws Misused where nobody has said which door */
export function remoteOf({ values }: Given, env: NodeJS.ProcessEnv, signal?: AbortSignal): Remote {
  const given = values.url ?? env.SLUICE_ADMIN_URL
  if (!given) throw new Misused('which door? Give --url http://localhost:3000/ops, or set SLUICE_ADMIN_URL')
  if (!/^https?:\/\/[^/]/.test(given) || !URL.canParse(given))
    throw new Misused(`--url must be an http(s) URL, not ${given}`)
  const { origin, pathname } = new URL(given)
  const url = origin + pathname.replace(/\/+$/, '')
  const token = values.token ?? env.SLUICE_ADMIN_TOKEN
  const timeoutMs = timeoutOf(values.timeout)
  const ask = async (path: string, init: RequestInit): Promise<Said> => {
    const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...init.headers }
    const signals = [AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]
    // A redirection would take the token elsewhere.
    const response = await fetch(url + path, {
      ...init,
      headers,
      redirect: 'manual',
      signal: AbortSignal.any(signals),
    }).catch((error) => {
      if (signal?.aborted) throw error
      throw new Error(`${url} does not answer: ${reasonOf(error, timeoutMs)}`)
    })
    const type = response.headers.get('content-type') ?? ''
    const said: Said = /json/.test(type) ? await response.json() : undefined
    if (response.ok && said !== undefined) return said
    if (typeof said?.detail === 'string') throw new Error(`${url}: ${response.status} ${said.title}. ${said.detail}`)
    throw new Error(`${url}${path} answered ${response.status}, and not as a door of Sluice does. Is that its path?`)
  }
  return {
    url,
    get: (path, query = {}) => {
      const search = new URLSearchParams()
      for (const [name, value] of Object.entries(query)) {
        for (const one of value === undefined ? [] : [value].flat()) search.append(name, one as string)
      }
      return ask(search.size > 0 ? `${path}?${search}` : path, {})
    },
    post: (path, body) =>
      ask(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }
}

/** @throws Misused */
export function timeoutOf(given: string | undefined): number {
  return spanOf('--timeout', given ?? '10s')
}

/** @throws Misused for what is no duration, or none at all */
export function spanOf(option: string, given: string): number {
  let ms = 0
  try {
    ms = durationMs(option, given)
  } catch (error) {
    throw new Misused((error as Error).message)
  }
  if (ms > 0) return ms
  throw new Misused(`${option} must be longer than 0`)
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } }
  if (name === 'TimeoutError') return `nothing came within ${timeoutMs} ms`
  return cause?.code ?? cause?.message ?? message
}
