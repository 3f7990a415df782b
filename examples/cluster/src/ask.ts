import { request } from 'node:http'

export interface Answer {
  readonly status: number
  /** The process that answered. */
  readonly by: string
  readonly cacheStatus: string
  readonly body: string
}

export interface Question {
  readonly method?: string
  readonly json?: unknown
  /** The address of this machine to ask from. */
  readonly from?: string | undefined
}

/** Asks on a connection of its own, so that Node's cluster module sends each request to the next process. */
export function ask(url: string, { method = 'GET', json, from }: Question = {}): Promise<Answer> {
  const headers = json === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false, ...(from && { localAddress: from }) }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.once('error', reject).once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          by: String(response.headers['x-served-by']),
          cacheStatus: String(response.headers['cache-status'] ?? ''),
          body,
        }),
      )
    })
    asked.once('error', reject).end(json === undefined ? undefined : JSON.stringify(json))
  })
}
