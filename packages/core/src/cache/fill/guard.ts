import type { ReadObserver, RequestChange } from '../../exchange/exchange.ts'
import type { OwnReads } from '../../exchange/reads/own-reads.ts'
import { isOfParameter, type QueryWatch } from '../../exchange/reads/query-watch.ts'

/**
 * The unkeyed-input guard. Most cache incidents are a handler that reads something the key does not cover: it answers
 * alice by her cookie, and the answer is stored for everybody. While a handler runs on a miss, what it reads of the
 * request is noted; what neither the key nor Vary covers forbids storing.
 */
export class Guard implements ReadObserver {
  readonly #reads = new Set<string>()
  readonly #own: OwnReads | undefined
  #closed = false

  /** @param own - tells when it is a limiter behind the cache that reads, and not the handler */
  constructor(own?: OwnReads) {
    this.#own = own
  }

  read(name: string): void {
    if (!this.#closed && this.#own?.now !== true) this.#reads.add(name === '@cookies' ? 'cookie' : name)
  }

  /** The head is there: what is read from now on (by loggers) does not shape the response. */
  close(): void {
    this.#closed = true
  }

  has(name: string): boolean {
    return this.#reads.has(name) || this.#reads.has('*')
  }

  /** What was read and is not covered; in the order it was read. */
  uncovered(covers: (name: string) => boolean): string[] {
    return [...this.#reads].filter((name) => !covers(name))
  }
}

/**
 * Fields that frameworks and their helpers read by themselves, or that Sluice handles: they select how an answer is
 * delivered, not what it says.
 */
export const deliveryFields: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
  'accept-encoding',
  'cache-control',
  'pragma',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
  'content-length',
  'content-type',
  'content-encoding',
  ':method',
  ':path',
  ':scheme',
])

/** What somebody's identity is read from. A key that has a user in it covers all of it. */
export const identityReads: ReadonlySet<string> = new Set(['@user', '@session', 'authorization', 'cookie'])

/** A query parameter: `?page`. Only those that a stage of ours reads, and that the route's `query` lacks, are noted. */
export const isQueryRead = (name: string): boolean => name.startsWith('?')

/** What the stages behind are to know where the key has only a part of the query. */
export function watchParameters(names: readonly string[], reads: ReadObserver): QueryWatch {
  const covers = (name: string): boolean => names.some((known) => isOfParameter(name, known))
  return {
    covers,
    read(name) {
      if (!covers(name)) reads.read(`?${name}`)
    },
  }
}

/** The line to write, for the message a developer sees. */
export function guardAdvice(fields: readonly string[]): string {
  const identity = fields.filter((f) => identityReads.has(f))
  const query = fields.filter(isQueryRead).map((f) => f.slice(1))
  if (query.length) return `Add ${query.map((name) => `'${name}'`).join(', ')} to the \`query\` of its cache.`
  const headers = fields.filter((f) => !identityReads.has(f) && !f.startsWith('@') && f !== '*')
  const lines = [
    ...(identity.length ? ['varyBy: by.user'] : []),
    ...(fields.includes('@ip') ? ['varyBy: by.ip'] : []),
    ...(headers.length ? [`varyBy: [${headers.map((h) => `'${h}'`).join(', ')}]`] : []),
  ]
  const declare = lines.length ? `Write \`${lines.join('`, `')}\` if it shapes the answer` : 'Read fields one by one'
  const ignore = headers.length ? `, or \`guard: { ignore: [${headers.map((h) => `'${h}'`).join(', ')}] }\` if not` : ''
  return `${declare}${ignore}.`
}

/** The request as the handler of a fill sees it: the client's own conditions are Sluice's to answer. */
export function fillRequest(
  reads: ReadObserver | undefined,
  validators: { etag?: string | undefined; lastModified?: string | undefined } = {},
): RequestChange {
  return {
    fields: { 'if-none-match': validators.etag, 'if-modified-since': validators.lastModified },
    reads,
  }
}
