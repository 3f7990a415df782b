import { expect, test } from '@jest/globals'
import type { Page } from 'playwright-core'
import { inBrowser, read, until } from './support/suite.ts'

/** The total of hits, which rises with each sample. */
const hitsOf = (page: Page) => page.locator('.totals dd').nth(2)

inBrowser('the page, as it is told news', ({ open, visit }) => {
  test('shows what it is of, and what is now, without a word on the console', async () => {
    const { page, complaints } = await open()
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await read(page.locator('.of'))).toBe('This process only: pid 4100 on api-1. Stored in memory.')
    expect(await page.locator('.tile').allInnerTexts()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^Requests per second\s+\d+\s/),
        expect.stringMatching(/^Hit rate\s+[89]\d\.\d %/),
      ]),
    )
    expect(await page.title()).toBe('Sluice')
    // The newest frame is not the only one: the chart has the minutes before.
    expect((await page.locator('.chart .area.hit').first().getAttribute('d'))!.length).toBeGreaterThan(1_000)
    expect(complaints).toEqual([])
  })

  test('is the same at an address that ends with a slash', async () => {
    const { server } = await open()
    const { page, complaints } = await visit(`${server.url}/`)
    await page.getByText('Live', { exact: true }).waitFor()
    expect(complaints).toEqual([])
  })

  test('shows each news as it comes, and moves nothing when figures change', async () => {
    const { page, server } = await open({ processes: 2, redis: true })
    await page.getByText('Live', { exact: true }).waitFor()
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await page.getByText('9 of 9 shown').waitFor()
    await page.evaluate(`window.moved = []
      new PerformanceObserver((list) => list.getEntries().forEach((e) => moved.push(...e.sources.map((s) => s.node?.outerHTML?.slice(0, 80)))))
        .observe({ type: 'layout-shift' })`)
    const tile = page.locator('.tile b').first()
    const seen = new Set([await read(tile)])
    const hits = await read(hitsOf(page))
    for (let round = 0; round < 8; round++) {
      server.tick()
      await until(async () => (await read(hitsOf(page))) !== hits, 'the total of hits rises')
      seen.add(await read(tile))
    }
    expect(seen.size).toBeGreaterThan(1)
    expect(await page.evaluate('moved')).toEqual([])
  })

  test('joins processes, and says so, or why not', async () => {
    const { page, server } = await open({ processes: 10, redis: true })
    await page.getByText('10 processes over Redis').waitFor()
    expect(await page.locator('#processes tbody tr').count()).toBe(10)
    expect(await read(page.locator('#processes'))).toContain('They run 2 versions of Sluice.')
    expect(await page.locator('.chart h3').allInnerTexts()).toContain('Time of Redis')
    const frame = server.world.frame.bind(server.world)
    server.world.frame = (since) => ({ ...frame(since), joinError: 'NOAUTH Authentication required.' })
    server.tick()
    await page.getByText('The other processes cannot be joined, so this is one process alone: NOAUTH').waitFor()
  })

  test('asks where a proxy holds the stream back, says so, and hears the stream again', async () => {
    const { page, server } = await open({}, { buffers: true }, { ownClock: true })
    const polls = () => server.asked.filter(({ path }) => path === '/frame').length
    await until(() => server.listeners === 1, 'the page listens')
    expect(await read(page.locator('.state'))).toBe('Connecting')
    await page.clock.runFor(6_100)
    await page.getByText('Polling', { exact: true }).waitFor()
    await page.getByText('A proxy seems to hold back the live stream').waitFor()
    expect(polls()).toBe(1)
    const before = await read(hitsOf(page))
    server.world.tick()
    await page.clock.runFor(2_100)
    await until(() => polls() === 2, 'the page asks again')
    await until(async () => (await read(hitsOf(page))) !== before, 'the answer is shown')
    // A minute later it tries the stream, which nobody holds back any more.
    await until(() => server.listeners === 0, 'the page has left the stream')
    server.handOn()
    for (let second = 0; second < 31 && server.listeners === 0; second++) await page.clock.runFor(2_000)
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await page.getByText('A proxy seems').count()).toBe(0)
  })

  test('keeps what it knows while the server is gone, tries again, and goes on', async () => {
    const { page, server, complaints } = await open()
    await page.getByText('Live', { exact: true }).waitFor()
    const hits = await read(hitsOf(page))
    await server.stop()
    await page.getByText('No answer', { exact: true }).waitFor()
    const notice = page.locator('.notice.bad')
    expect(await read(notice)).toMatch(
      /^No answer: The server cannot be reached\. What you see is from \d\d:\d\d:\d\d\. Trying again (?:now|in \d+ s)\.$/,
    )
    expect(await page.title()).toBe('No answer – Sluice')
    expect(await page.locator('main').getAttribute('class')).toBe('old')
    expect(await read(hitsOf(page))).toBe(hits)
    expect(await read(page.locator('header [role=status]'))).toBe(
      'The server does not answer. What is shown is what was known last.',
    )
    await server.start()
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await notice.count()).toBe(0)
    expect(await page.title()).toBe('Sluice')
    server.tick()
    await until(async () => (await read(hitsOf(page))) !== hits, 'the figures go on')
    // The browser tells of requests that failed; the page itself has nothing to add.
    expect(complaints.filter((text) => !text.includes('net::ERR_'))).toEqual([])
  })

  test('says what the server says when it lets nobody in any more', async () => {
    const { page, server } = await open()
    await page.getByText('Live', { exact: true }).waitFor()
    const refusal = { status: 403, body: { title: 'Forbidden', detail: 'Sign in to see this page.' } }
    for (const path of ['GET /live', 'GET /frame']) server.instead.set(path, refusal)
    server.hangUp()
    await page.getByText('Forbidden: Sign in to see this page.').waitFor()
  })

  test('begins anew when another process answers that is not joined with the one before', async () => {
    const { page, server } = await open()
    await page.getByText('pid 4100').waitFor()
    const frame = server.world.frame.bind(server.world)
    server.world.frame = (since) => {
      const { processes, ...rest } = frame(since)
      return { ...rest, processes: processes.map((each) => ({ ...each, id: 'other', pid: 777 })) }
    }
    server.tick()
    await page.getByText('pid 777').waitFor()
    await until(
      async () => (await page.locator('.chart .area.hit').first().getAttribute('d'))!.length < 200,
      'the history of the other process is gone',
    )
  })
})

const shown = (page: Page, text: string) => page.locator('#routes .more').getByText(text, { exact: true }).waitFor()
const firstOf = async (page: Page): Promise<string> =>
  (await read(page.locator('#routes tbody tr').first())).split(/\s/)[0]!

/** What the server tells at once is passed by the third. */
const more = ['150', '450', '1,350', '4,050', '5,000']

inBrowser('routes and URLs on the page', ({ open }) => {
  test('5,000 routes: filtered, sorted, and more of them', async () => {
    const { page, complaints } = await open({ routes: 5_000 })
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await shown(page, '50 of 5,000 shown')
    expect(await read(page.locator('#routes th[aria-sort=descending]'))).toMatch(/^Requests/)
    await page.getByRole('button', { name: 'Hit rate', exact: false }).click()
    await until(
      async () => (await read(page.locator('#routes tbody .figure').nth(1))).startsWith('0.0'),
      'the worst comes first',
    )
    expect(await read(page.locator('#routes th[aria-sort=ascending]'))).toMatch(/^Hit rate/)
    await page.getByRole('button', { name: 'Route', exact: true }).click()
    await until(async () => (await firstOf(page)) === '/basket', 'they are sorted by name')
    await page.getByLabel('Filter').fill('weather/')
    await until(async () => (await firstOf(page)).startsWith('/cities/:id/weather/'), 'they are filtered')
    await page.getByLabel('Filter').fill('there is no such route')
    await page.getByText('No route has “there is no such route” in it.').waitFor()
    await page.getByLabel('Filter').fill('')
    await shown(page, '50 of 5,000 shown')
    for (const now of more) {
      await page.getByRole('button', { name: 'Show more routes' }).click()
      await shown(page, `${now} of 5,000 shown`)
    }
    expect(await page.getByRole('button', { name: 'Show more routes' }).count()).toBe(0)
    expect(await page.locator('#routes tbody tr').count()).toBe(5_000)
    expect(complaints).toEqual([])
  })

  test('why an answer is not stored, with the line to write', async () => {
    const { page } = await open()
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await shown(page, '9 of 9 shown')
    const row = page.locator('#routes tbody tr', { hasText: '/search' })
    expect(await read(row.locator('.why'))).toMatch(
      /^Last answer not stored: unkeyed-cookie\. The handler read the cookie theme/,
    )
    expect(await read(row.locator('.remedy'))).toContain("sluice.cache('1m', { varyBy: [by.cookie('theme')] })")
    expect(await read(page.locator('#routes tbody tr', { hasText: '/cities' }).first().locator('.terms'))).toBe(
      'Told apart by ?lang, ?page',
    )
  })

  test('a URL that stands out is searched by a click, and one that is typed', async () => {
    const { page, server } = await open()
    await page.getByRole('button', { name: '/offers?sort=price' }).first().click()
    await page.getByText('It is stored: 2 variants.').first().waitFor()
    expect(await page.locator('input[name=url]').inputValue()).toBe('/offers?sort=price')
    expect(await read(page.locator('.entries').first())).toContain('fresh for 46 s, usable for 1 h')
    expect(await read(page.locator('.entries').first())).toContain('stale for 4 s')
    expect(await read(page.locator('.entries').first())).toContain('4.8 kB, also as br, gzip, ETag')
    await page.locator('input[name=url]').fill('/nothing')
    await page.getByRole('button', { name: 'Search', exact: true }).click()
    await page.locator('.found').getByText('It is not stored, and this process has not answered it lately.').waitFor()
    server.instead.set('GET /find', { status: 400, body: { title: 'Bad Request', detail: '`url` must begin with /.' } })
    await page.locator('input[name=url]').fill('nothing')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('`url` must begin with /.').waitFor()
  })

  test('where nothing has happened yet, each part says what would begin it', async () => {
    const { page, complaints } = await open({ empty: true })
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await page.getByText('No request has passed a cache yet. Put sluice.cache(').waitFor()
    for (const [part, text] of [
      ['urls', 'No hit yet.'],
      ['tags', "sluice.cache('1m', { tags: ['cities'] })"],
      ['limits', "sluice.limit('100/min')"],
      ['events', 'Nothing yet.'],
    ] as const) {
      expect(await read(page.locator(`#${part}`))).toContain(text)
    }
    expect(complaints).toEqual([])
  })
})

inBrowser('texts of those who mean ill', ({ open }) => {
  test.each([
    [
      'markup, and what ends elements',
      `"'></script></style></title><img src=x onerror="complain('ran')"><script>complain('ran')</script>&lt;b&gt;`,
      `"'></script></style></title><img src=x`,
    ],
    [
      'marks that turn the text round, and what is not seen',
      '/مدن\u202ecod.exe\u2066/\u200b\u0000end',
      '/مدن\\u202ecod.exe\\u2066/\\u200b\\u0000end',
    ],
    ['ten thousand characters without a place to break them', 'w'.repeat(10_000), 'characters)'],
  ])('%s: shown as text, and nothing breaks', async (_what, hostile, shown) => {
    const view = { width: 375 }
    const { page, complaints, server } = await open({ hostile, actions: ['purge', 'limits', 'bans'] }, {}, view)
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await page.locator('#routes .more').getByText('9 of 9 shown').waitFor()
    for (const part of ['routes', 'urls', 'tags', 'limits', 'processes', 'events']) {
      expect(await read(page.locator(`#${part}`))).toContain(shown)
    }
    await page.locator('#urls button.link').first().click()
    await page.locator('.entries').waitFor()
    expect(await read(page.locator('.found'))).toContain(shown)
    await page.locator('#tags button').first().click()
    expect(await read(page.getByRole('dialog'))).toContain(shown)
    await page.getByRole('button', { name: 'Do it' }).click()
    await page.locator('.said').waitFor()
    // What is sent is what was meant, to the last character.
    expect(server.asked.find(({ path }) => path === '/purge')?.body).toEqual({ tags: [hostile] })
    expect(await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')).toBe(
      true,
    )
    expect(await page.locator('main script, main img, main style, main b b').count()).toBe(0)
    expect(complaints).toEqual([])
  })
})
