import { expect, test } from '@jest/globals'
import { application } from './support/application.ts'
import { inBrowser, until } from './support/suite.ts'

inBrowser('what the page does on a real server', ({ visit }) => {
  test('what it refuses is shown as it is, and a key is shut out and let in again', async () => {
    const { origin, get } = await application()
    for (let round = 0; round < 2; round++) await get('/few')
    const { page } = await visit(`${origin}/sluice/`)
    await page.getByRole('button', { name: 'Reset… a key of policy few' }).click()
    await page.getByRole('textbox', { name: 'Key', exact: true }).fill('127.0.0.1')
    await page.keyboard.press('Enter')
    await page.getByText('Reset: 127.0.0.1 of policy few.').waitFor()
    for (let round = 0; round < 3; round++) expect((await get('/few')).status).toBe(200)
    expect((await get('/few')).status).toBe(429)

    await page.getByRole('button', { name: 'Ban… a key from policy few' }).click()
    await page.getByRole('textbox', { name: 'Key', exact: true }).fill('192.0.2.1')
    await page.getByRole('textbox', { name: 'Reason', exact: true }).fill('Tries passwords')
    await page.keyboard.press('Enter')
    await page.getByText('Banned: 192.0.2.1 from policy few for 1h.').waitFor()
    const ban = page.locator('#limits tbody tr', { hasText: 'By hand: Tries passwords' })
    await ban.getByRole('button').click()
    await page.getByRole('button', { name: 'Lift the ban' }).click()
    await page.getByText('The ban from policy few is lifted.').waitFor()
    await until(async () => (await ban.count()) === 0, 'the ban leaves the list')

    await page.getByRole('button', { name: 'Purge a URL…' }).click()
    await page.getByRole('textbox', { name: 'URL', exact: true }).and(page.locator('dialog input')).fill('cities')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('A URL begins with / or http(s)://').waitFor()
  })
})
