import { expect, test } from '@jest/globals'
import { application } from './support/application.ts'
import { faults } from './support/axe.ts'
import { inBrowser, read, until } from './support/suite.ts'

inBrowser('the page, and the server it is of', ({ visit }) => {
  test('news is seen, a purge is done, and nothing is complained of', async () => {
    const { origin, get } = await application()
    const { page, complaints } = await visit(`${origin}/sluice`)
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await read(page.locator('.of'))).toMatch(/^This process only: pid \d+ on .+\. Stored in memory\.$/)

    for (let round = 0; round < 5; round++) await get('/cities/7')
    await get('/search', { cookie: 'theme=dark' })
    for (let round = 0; round < 5; round++) await get('/few')
    await until(async () => /^Hits\s+4$/.test(await read(page.locator('.totals > div').nth(2))), 'the hits are seen')
    const row = page.locator('#routes tbody tr', { hasText: '/cities/:id' })
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await until(async () => /\s5\s+80\.0 %/.test(await read(row)), 'the route is seen')
    const search = page.locator('#routes tbody tr', { hasText: '/search' })
    expect(await read(search.locator('.why'))).toMatch(/^Last answer not stored: \S/)
    const policy = page.locator('#limits tbody tr', { hasText: 'few' }).first()
    await until(async () => /few\s+3\s+2\s/.test(await read(policy)), 'the refusals are seen')

    await page.locator('input[name=url]').fill('/cities/7')
    await page.keyboard.press('Enter')
    await page.getByText('It is stored.').first().waitFor()
    expect(await read(page.locator('.found'))).toContain('cities')

    expect((await get('/cities/7')).result).toContain('hit')
    await page.getByRole('button', { name: 'Purge… tag cities' }).click()
    await page.getByRole('button', { name: 'Do it' }).click()
    await page.getByText('Purged: tag cities.').waitFor()
    expect((await get('/cities/7')).result).toContain('fwd=')
    await page.locator('#events').getByText('ann').first().waitFor()

    await page.getByRole('button', { name: 'Purge everything…' }).click()
    await page.getByLabel('Type everything to confirm').fill('everything')
    await page.keyboard.press('Enter')
    await page.getByText('Purged: everything.').waitFor()
    expect((await get('/cities/7')).result).toContain('fwd=')
    expect(await faults(page)).toEqual([])
    expect(complaints).toEqual([])
  })
})
