import { optionError } from '@sluice/core'
import { openJournal } from './journal.ts'
import { checkWarmOptions, type WarmCounts, type WarmOptions } from './options.ts'
import { Requester, type WarmAnswer } from './requester.ts'
import { readSource, type WarmSource } from './source.ts'
import { openTarget, type WarmTarget } from './target.ts'

/** The member of every framework's instance. */
export interface Warmer {
  /** {@link warm} */
  warm: typeof warm
}

/**
 * Fills the cache through the real handlers, by asking for URLs as clients do.
 *
 * @param target - an application of Express, Koa or Fastify, a `node:http` server or listener, or the URL of one that runs
 * @param source - the URLs, as a list, or where to find them: a sitemap, an access log, a file
 * @throws SluiceError `ERR_SLUICE_OPTION` for options that make no sense
 * @throws Error where the source cannot be read
 * @example
 * ```ts
 * await warm(app, ['/cities', '/countries'], { host: 'api.example.com' })
 * await warm('http://localhost:3000', { sitemap: '/sitemap.xml' }, { concurrency: 8, onProgress: progressLine() })
 * await warm(app, { log: '/var/log/nginx/access.log', top: 500 }, { host: 'api.example.com', resume: '.warm' })
 * ```
 */
export async function warm(target: WarmTarget, source: WarmSource, options: WarmOptions = {}): Promise<WarmCounts> {
  checkWarmOptions(options)
  const opened = await openTarget(target)
  const requester = new Requester(opened, options)
  try {
    const urls = await readSource(source, requester)
    if (!opened.named && options.host === undefined && urls.some((url) => url.startsWith('/'))) {
      throw optionError(
        'warm.host',
        'must be given for paths of an application: the host that clients ask for',
        undefined,
      )
    }
    const sets = headerSets(options.headers)
    const jobs = urls.flatMap((url) =>
      sets.map((headers, i) => ({ url, headers, id: sets.length > 1 ? `${i} ${url}` : url })),
    )
    return await run(jobs, requester, options)
  } finally {
    requester.close()
    await opened.close()
  }
}

interface Job {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** One line of the journal. */
  readonly id: string
}

async function run(jobs: readonly Job[], requester: Requester, options: WarmOptions): Promise<WarmCounts> {
  const journal = openJournal(options.resume)
  const left = jobs.filter(({ id }) => !journal.done.has(id))
  const resumed = jobs.length - left.length
  const counts = { total: jobs.length, done: resumed, hits: 0, stored: 0, unstored: 0, failed: 0, resumed }
  const stopped = (): boolean => options.signal?.aborted === true
  let next = 0
  const work = async (): Promise<void> => {
    while (next < left.length && !stopped()) {
      const job = left[next++]!
      const answer = await requester.get(job.url, job.headers)
      if (stopped()) return
      count(counts, answer)
      // What failed is asked for again by the next run.
      if (answer.kind === 'answered' && answer.status < 400) journal.note(job.id)
      options.onProgress?.({ ...counts, url: job.url, status: answer.kind === 'answered' ? answer.status : undefined })
      if (next < left.length) await requester.pause()
    }
  }
  const workers = Array.from({ length: Math.min(options.concurrency ?? 4, left.length) }, work)
  try {
    await Promise.all(workers)
  } finally {
    journal.close(counts.done === counts.total && counts.failed === 0)
  }
  return counts
}

type Counts = { -readonly [K in keyof WarmCounts]: WarmCounts[K] }

function count(counts: Counts, answer: WarmAnswer): void {
  counts.done++
  if (answer.kind === 'failed' || answer.status >= 400) counts.failed++
  else if (answer.cache === 'hit') counts.hits++
  else if (answer.cache === 'stored') counts.stored++
  else counts.unstored++
}

function headerSets(given: WarmOptions['headers']): readonly Readonly<Record<string, string>>[] {
  if (given === undefined) return [{}]
  return Array.isArray(given) ? given : [given as Readonly<Record<string, string>>]
}
