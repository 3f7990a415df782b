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
