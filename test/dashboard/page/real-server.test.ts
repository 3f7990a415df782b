import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/express'
import express from 'express'
import { faults } from './support/axe.ts'
import { inBrowser, read, until } from './support/suite.ts'

const started: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop()
})

/** Cities, kept for a minute; a search that is not, because of a cookie; a limit of three a minute. */
async function application() {
  const sluice = createSluice({ limits: { few: { rate: '3/min', ban: 'by-hand' } } })
  const app = express()
  app.use('/sluice', dashboard(sluice, { authorize: () => 'ann', actions: true }))
  app.get('/cities/:id', sluice.cache('1m', { tags: ['cities'] }), (req, res) => {
    res.json({ id: req.params.id })
  })
  app.get('/search', sluice.cache('1m'), (req, res) => {
    res.send(`as ${req.get('cookie')?.slice(0, 20)}`)
  })
  app.get('/few', sluice.limit('few'), (_req, res) => {
    res.send('one of few')
  })
  const server: Server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  started.push(async () => {
    server.closeAllConnections()
    server.close()
    await sluice.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(origin + path, { headers })
    await answer.text()
    return { status: answer.status, result: answer.headers.get('cache-status') ?? '' }
  }
  return { origin, get }
}

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
