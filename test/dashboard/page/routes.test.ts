import { expect, test } from '@jest/globals'
import type { Page } from 'playwright-core'
import { everything, inBrowser, read, until } from './support/suite.ts'

const shown = (page: Page, text: string) => page.locator('#routes .more').getByText(text, { exact: true }).waitFor()
const firstOf = async (page: Page): Promise<string> =>
  (await read(page.locator('#routes tbody tr').first())).split(/\s/)[0]!

/** What the server tells at once is passed by the third. */
const more = ['150', '450', '1,350', ...(everything ? ['4,050', '5,000'] : [])]

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
    expect(await page.getByRole('button', { name: 'Show more routes' }).count()).toBe(everything ? 0 : 1)
    expect(await page.locator('#routes tbody tr').count()).toBe(everything ? 5_000 : 1_350)
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
