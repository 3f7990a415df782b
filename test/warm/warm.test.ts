import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { createSluice as createExpress } from '@sluice/express'
import sluiceFastify from '@sluice/fastify'
import { createSluice as createKoa } from '@sluice/koa'
import { createSluice, progressLine, type WarmOptions, type WarmProgress, type WarmSource, warm } from '@sluice/node'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import { gate, turn, until } from '../hosts/harness/host.ts'

const temp = mkdtempSync(join(tmpdir(), 'sluice-warm-'))
afterAll(() => rmSync(temp, { recursive: true, force: true }))
const file = (name: string, content: string | Buffer): string => {
  writeFileSync(join(temp, name), content)
  return join(temp, name)
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

/** A cached application, and the requests its handler saw. */
function application(handle?: http.RequestListener) {
  const sluice = createSluice()
  cleanups.push(() => sluice.close())
  const seen: string[] = []
  const cached = sluice.cache('1h')
  const listener: http.RequestListener = (request, response) =>
    cached(request, response, () => {
      seen.push(request.url!)
      if (handle) handle(request, response)
      else response.setHeader('content-type', 'text/plain').end(`this is ${request.url}`)
    })
  return { sluice, seen, listener }
}

const host = 'api.example.com'

describe('what is warmed', () => {
  const paths = ['/a', '/b']
  const counted = { total: 2, done: 2, stored: 2, hits: 0, unstored: 0, failed: 0, resumed: 0 }

  test('an Express application', async () => {
    const sluice = createExpress()
    const app = express()
    app.get('/:x', sluice.cache('1h'), (req, res) => void res.send(req.params.x))
    expect(await sluice.warm(app, paths, { host })).toEqual(counted)
    expect(sluice.stats().cache).toMatchObject({ entries: 2, stored: 2 })
    expect(await sluice.warm(app, paths, { host })).toEqual({ ...counted, stored: 0, hits: 2 })
  })

  test('a Koa application', async () => {
    const sluice = createKoa()
    const app = new Koa()
    app.use(sluice.cache('1h')).use((ctx) => {
      ctx.body = ctx.path
    })
    expect(await sluice.warm(app, paths, { host })).toEqual(counted)
  })

  test('a Fastify application', async () => {
    const app = fastify()
    cleanups.push(() => app.close())
    await app.register(sluiceFastify)
    app.get('/:x', { config: { sluice: { cache: '1h' } } }, async (request) => request.url)
    expect(await app.sluice.warm(app, paths, { host })).toEqual(counted)
    // And it can still be asked.
    const answer = await app.inject({ url: '/a', headers: { host } })
    expect(answer.headers['cache-status']).toMatch(/hit/)
  })

  test('a server that listens, and its URL, with a path in front', async () => {
    const { listener, seen } = application()
    const server = http.createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => server.close())
    const { port } = server.address() as AddressInfo
    expect(await warm(server, paths, { host })).toEqual(counted)
    expect(server.listening).toBe(true)
    expect(await warm(`http://127.0.0.1:${port}/v1/`, paths)).toEqual(counted)
    expect(seen).toEqual(['/a', '/b', '/v1/a', '/v1/b'])
  })

  test('a listener, which is given a port for the time', async () => {
    const { listener, sluice } = application()
    await warm(listener, paths, { host })
    expect(sluice.stats().cache.entries).toBe(2)
  })

  test.each<[string, unknown]>([
    ['an object', {}],
    ['a path', '/cities'],
    ['another scheme', 'ftp://example.com'],
  ])('%s is refused', async (_what, target) => {
    await expect(warm(target as never, paths)).rejects.toThrow(/must be an application, a server or an http\(s\) URL/)
  })
})

describe('the host that is asked for', () => {
  const hosts = async (source: WarmSource, options: WarmOptions) => {
    const seen: (string | undefined)[] = []
    await warm(
      (request, response) => {
        seen.push(request.headers.host)
        response.end()
      },
      source,
      options,
    )
    return seen
  }

  test('is the option, the URL’s own, or must be given', async () => {
    expect(await hosts(['/a'], { host })).toEqual([host])
    expect(await hosts(['https://www.example.com/a'], {})).toEqual(['www.example.com'])
    expect(await hosts(['https://www.example.com/a'], { host })).toEqual([host])
    await expect(hosts(['/a'], {})).rejects.toThrow(/`warm\.host` must be given for paths of an application/)
  })
})

describe('where the URLs come from', () => {
  const asked = async (source: WarmSource, handle?: http.RequestListener) => {
    const { listener, seen } = application(handle)
    await warm(listener, source, { host, concurrency: 1 })
    return seen
  }

  test('a list: each once, without fragments; URLs, generators and async ones too', async () => {
    expect(await asked(['/a', '/b#top', '/a', ' /c '])).toEqual(['/a', '/b', '/c'])
    expect(await asked([new URL('http://x/a?b=1')])).toEqual(['/a?b=1'])
    expect(
      await asked(
        (async function* () {
          yield '/a'
          yield '/b'
        })(),
      ),
    ).toEqual(['/a', '/b'])
  })

  test('a file with one on each line', async () => {
    const list = file('list.txt', '# these\r\n/a\r\n\r\n/b\r\nhttp://x/c')
    expect(await asked({ list })).toEqual(['/a', '/b', '/c'])
  })

  test('a sitemap of the application, with entities and CDATA', async () => {
    const xml =
      '<?xml version="1.0"?><urlset><url><loc>https://a.example/x?a=1&amp;b=&#50;</loc></url>' +
      '<url><loc>\n <![CDATA[https://a.example/y?c=1&d=2]]> </loc></url></urlset>'
    const seen = await asked({ sitemap: '/sitemap.xml' }, (request, response) => {
      response.end(request.url === '/sitemap.xml' ? xml : 'page')
    })
    expect(seen).toEqual(['/sitemap.xml', '/x?a=1&b=2', '/y?c=1&d=2'])
  })

  test('an index of sitemaps, compressed ones among them', async () => {
    const pages: Record<string, string | Buffer> = {
      '/index.xml':
        '<sitemapindex><sitemap><loc>http://x/1.xml</loc></sitemap><sitemap><loc>http://x/2.xml.gz</loc></sitemap></sitemapindex>',
      '/1.xml': '<urlset><url><loc>http://x/a</loc></url></urlset>',
      '/2.xml.gz': gzipSync('<urlset><url><loc>http://x/b</loc></url></urlset>'),
    }
    const seen = await asked({ sitemap: '/index.xml' }, (request, response) =>
      response.end(pages[request.url!] ?? 'page'),
    )
    expect(seen.slice(-2)).toEqual(['/a', '/b'])
  })

  test('a sitemap in a file', async () => {
    const path = file('sitemap.xml', '<urlset><url><loc>/a</loc></url></urlset>')
    expect(await asked({ sitemap: pathToFileURL(path) })).toEqual(['/a'])
  })

  const log = [
    '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "GET /rare HTTP/1.1" 200 12',
    '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "GET /often?a=1 HTTP/2.0" 200 12 "-" "curl \\"x\\""',
    '1.2.3.4 - ada [21/Nov/2026:10:00:00 +0000] "GET /often?a=1 HTTP/1.1" 304 0',
    '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "POST /cities HTTP/1.1" 201 12',
    '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "GET /missing HTTP/1.1" 404 12',
    '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "\\x16\\x03" 400 0',
    '',
  ].join('\n')

  test('an access log: GET requests that succeeded, the most frequent first', async () => {
    expect(await asked({ log: file('access.log', log) })).toEqual(['/often?a=1', '/rare'])
    expect(await asked({ log: file('access.log', log), top: 1 })).toEqual(['/often?a=1'])
    expect(await asked({ log: file('access.log.gz', gzipSync(log)) })).toEqual(['/often?a=1', '/rare'])
  })

  test.each<[string, unknown, RegExp]>([
    ['a missing file', { list: join(temp, 'none') }, /ENOENT/],
    ['a missing log', { log: join(temp, 'none.gz') }, /ENOENT/],
    ['a log that is not compressed though it says so', { log: file('bad.gz', 'plain') }, /incorrect header check/],
    ['a missing sitemap', { sitemap: '/none' }, /was answered with 404/],
    ['a URL of another scheme', ['mailto:x'], /must be a path or absolute/],
    ['nothing known', { page: '/a' }, /must be a list of URLs, \{ sitemap \}, \{ log, top \} or \{ list \}/],
  ])('%s', async (_what, source, message) => {
    const { listener } = application((_request, response) => response.writeHead(404).end())
    await expect(warm(listener, source as WarmSource, { host })).rejects.toThrow(message)
  })
})

describe('politely', () => {
  test('at most `concurrency` requests at a time', async () => {
    let running = 0
    let most = 0
    const many = Array.from({ length: 20 }, (_, i) => `/${i}`)
    await warm(
      async (_request, response) => {
        most = Math.max(most, ++running)
        for (let i = 0; i < 3; i++) await turn()
        running--
        response.end()
      },
      many,
      { host, concurrency: 3 },
    )
    expect(most).toBe(3)
  })

  test('a pause between two requests', async () => {
    const at: number[] = []
    await warm(
      (_request, response) => {
        at.push(performance.now())
        response.end()
      },
      ['/a', '/b', '/c'],
      { host, concurrency: 1, delay: '30ms' },
    )
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(29)
    expect(at[2]! - at[1]!).toBeGreaterThanOrEqual(29)
  })

  test('429 and 503 are obeyed: asked again after Retry-After, and no more often than said', async () => {
    let asked = 0
    const listener: http.RequestListener = (_request, response) => {
      asked++
      if (asked < 3) response.writeHead(asked === 1 ? 429 : 503, { 'retry-after': '0' }).end()
      else response.end('ok')
    }
    expect(await warm(listener, ['/a'], { host })).toMatchObject({ failed: 0, unstored: 1 })
    asked = -10
    expect(await warm(listener, ['/a'], { host, retries: 2 })).toMatchObject({ failed: 1 })
    expect(asked).toBe(-7)
  })

  test('a Retry-After of an hour is not waited for', async () => {
    const listener: http.RequestListener = (_request, response) => {
      response.writeHead(503, { 'retry-after': '3600' }).end()
    }
    expect(await warm(listener, ['/a', '/b'], { host })).toMatchObject({ failed: 2 })
  })

  test('errors and broken connections are counted, and the rest goes on', async () => {
    const listener: http.RequestListener = (request, response) => {
      if (request.url === '/broken') request.socket.destroy()
      else response.writeHead(request.url === '/error' ? 500 : 200).end()
    }
    const counts = await warm(listener, ['/broken', '/error', '/fine'], { host, retries: 0 })
    expect(counts).toMatchObject({ done: 3, failed: 2, unstored: 1 })
  })

  test('one that does not answer is given up after `timeout`', async () => {
    const counts = await warm(() => {}, ['/never'], { host, retries: 0, timeout: '50ms' })
    expect(counts).toMatchObject({ done: 1, failed: 1 })
  })
})

describe('progress and going on', () => {
  test('onProgress after each, with where it stands', async () => {
    const { listener } = application()
    const told: WarmProgress[] = []
    await warm(listener, ['/a', '/b'], { host, concurrency: 1, onProgress: (p) => told.push(p) })
    expect(told.map(({ done, total, stored, url, status }) => [done, total, stored, url, status])).toEqual([
      [1, 2, 1, '/a', 200],
      [2, 2, 2, '/b', 200],
    ])
  })

  test('progressLine draws one line on a terminal, and few lines elsewhere', () => {
    const progress = { total: 200, hits: 1, stored: 2, unstored: 0, failed: 3, resumed: 0, url: '/a', status: 200 }
    const drawn = (isTTY: boolean): string => {
      let text = ''
      const line = progressLine({ isTTY, columns: 40, write: (more) => (text += more) })
      for (let done = 1; done <= 200; done++) line({ ...progress, done })
      return text
    }
    expect(drawn(true).split('\n')).toHaveLength(2)
    expect(
      drawn(true)
        .split('\r\u001b[K')
        .every((one) => one.trimEnd().length < 40),
    ).toBe(true)
    expect(drawn(false)).toBe(
      '100 of 200: 2 stored, 1 there already, 3 failed\n200 of 200: 2 stored, 1 there already, 3 failed\n',
    )
  })

  test('several sets of fields: each URL with each', async () => {
    const seen: string[] = []
    const counts = await warm(
      (request, response) => {
        seen.push(`${request.url} ${request.headers['accept-encoding']}`)
        response.end()
      },
      ['/a', '/b'],
      { host, concurrency: 1, headers: [{ 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip' }] },
    )
    expect([counts.total, seen]).toEqual([4, ['/a br', '/a gzip', '/b br', '/b gzip']])
  })

  test('a run that was stopped goes on where it was; a finished one begins anew', async () => {
    const resume = join(temp, 'journal')
    const { listener, seen } = application()
    const stop = new AbortController()
    const urls = ['/1', '/2', '/3', '/4']
    const first = await warm(listener, urls, {
      host,
      resume,
      concurrency: 1,
      signal: stop.signal,
      onProgress: ({ done }) => done === 2 && stop.abort(),
    })
    expect([first.done, first.total]).toEqual([2, 4])
    expect(readFileSync(resume, 'utf8')).toBe('/1\n/2\n')
    const second = await warm(listener, urls, { host, resume })
    expect(second).toMatchObject({ done: 4, total: 4, resumed: 2, stored: 2 })
    expect(seen).toEqual(['/1', '/2', '/3', '/4'])
    expect(existsSync(resume)).toBe(false)
  })

  test('a line that a crash cut short is not taken for another URL; what failed is asked for again', async () => {
    const resume = file('cut', '/1\n/broken\n/1')
    writeFileSync(resume, '/10\n/1')
    let fails = true
    const { listener, seen } = application((request, response) => {
      response.writeHead(request.url === '/2' && fails ? 500 : 200).end()
    })
    const first = await warm(listener, ['/10', '/1', '/2'], { host, resume, concurrency: 1 })
    expect([seen, first.failed]).toEqual([['/1', '/2'], 1])
    expect(readFileSync(resume, 'utf8')).toBe('/10\n/1\n')
    fails = false
    expect(await warm(listener, ['/10', '/1', '/2'], { host, resume })).toMatchObject({ resumed: 2, failed: 0 })
    expect(existsSync(resume)).toBe(false)
  })

  test('stopping breaks off what is under way', async () => {
    const arrived = gate()
    const stop = new AbortController()
    const running = warm(() => arrived.open(), ['/a'], { host, signal: stop.signal })
    await arrived
    stop.abort()
    expect(await running).toMatchObject({ done: 0, total: 1 })
  })
})

test.each<[string, object, RegExp]>([
  ['concurrency', { concurrency: 0 }, /`warm\.concurrency` must be a whole number above 0/],
  ['retries', { retries: -1 }, /`warm\.retries` must be a whole number of 0 or more/],
  ['an unknown one', { paralel: 2 }, /no option `warm\.paralel`/],
])('the option %s is checked', async (_name, options, message) => {
  await expect(warm('http://127.0.0.1:1', [], options)).rejects.toThrow(message)
  await until(() => true)
})
