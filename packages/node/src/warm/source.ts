import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip, gunzipSync } from 'node:zlib'
import { SluiceError } from '@sluice/core'
import type { Requester } from './requester.ts'
import { isIndex, locationsIn } from './sitemap.ts'

/** Which URLs to ask for. Paths are those of the target; absolute URLs bring their host along. */
export type WarmSource =
  | Iterable<string | URL>
  | AsyncIterable<string | URL>
  /**
   * A sitemap, or an index of them: a path of the target, an http(s) URL (asked of the target too, under its own host), or
   * a file as a `file:` URL.
   */
  | { readonly sitemap: string | URL }
  /** An access log in the common or combined format, `.gz` too: its GET requests that succeeded, the most frequent first. */
  | { readonly log: string /** Only that many. Default: all. */; readonly top?: number | undefined }
  /** A file with one URL on each line; `#` begins a comment. */
  | { readonly list: string }

/** The URLs of a source, each once, in its order. @throws Error where it cannot be read */
export async function readSource(source: WarmSource, requester: Requester): Promise<string[]> {
  const found = new Set<string>()
  for await (const url of urlsOf(source, requester)) {
    const text = String(url).trim()
    if (!/^(\/|https?:\/\/)/i.test(text)) {
      throw new SluiceError(
        'ERR_SLUICE_OPTION',
        `A URL to warm must be a path or absolute; received ${JSON.stringify(text)}.`,
      )
    }
    // A fragment is never sent.
    found.add(text.split('#', 1)[0]!)
  }
  return [...found]
}

function urlsOf(source: WarmSource, requester: Requester): AsyncIterable<string | URL> | Iterable<string | URL> {
  if (typeof source === 'object' && source !== null) {
    if (Symbol.iterator in source || Symbol.asyncIterator in source) return source
    if ('sitemap' in source) return sitemapUrls(source.sitemap, requester)
    if ('log' in source) return logUrls(source.log, source.top)
    if ('list' in source) return listUrls(source.list)
  }
  throw new SluiceError(
    'ERR_SLUICE_OPTION',
    'What to warm it with must be a list of URLs, { sitemap }, { log, top } or { list }.',
  )
}

async function* listUrls(path: string): AsyncIterable<string> {
  for await (const line of linesOf(path)) {
    const url = line.trim()
    if (url !== '' && !url.startsWith('#')) yield url
  }
}

/** An index leads to sitemaps, and no further (sitemaps.org). */
async function* sitemapUrls(at: string | URL, requester: Requester, depth = 0): AsyncIterable<string> {
  const xml = await readDocument(String(at), requester)
  const locations = locationsIn(xml)
  if (!isIndex(xml)) {
    yield* locations
    return
  }
  if (depth > 0) throw new Error(`${at} is an index of sitemaps inside another one.`)
  for (const location of locations) yield* sitemapUrls(location, requester, depth + 1)
}

async function readDocument(at: string, requester: Requester): Promise<string> {
  const bytes = at.startsWith('file:') ? await readFile(new URL(at)) : await requester.body(at)
  // A file may be compressed whatever it is called.
  return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8')
}

/** `"GET /path HTTP/1.1" 200`, wherever it stands on the line. */
const logged = /"GET (\S+) HTTP\/[\d.]+" (\d{3})/

async function* logUrls(path: string, top: number | undefined): AsyncIterable<string> {
  const counts = new Map<string, number>()
  for await (const line of linesOf(path)) {
    const [, url, status] = logged.exec(line) ?? []
    // 304: whoever has it asks for it.
    if (url === undefined || !/^(2\d\d|304)$/.test(status!) || !url.startsWith('/')) continue
    counts.set(url, (counts.get(url) ?? 0) + 1)
  }
  const frequent = [...counts].sort(([, a], [, b]) => b - a)
  for (const [url] of frequent.slice(0, top ?? frequent.length)) yield url
}

/** Not with node:readline, whose iterator says nothing of a file that cannot be read. */
async function* linesOf(path: string): AsyncIterable<string> {
  const file = createReadStream(path)
  const input: Readable = path.endsWith('.gz') ? pipeline(file, createGunzip(), () => {}) : file
  input.setEncoding('utf8')
  let rest = ''
  for await (const chunk of input) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}
