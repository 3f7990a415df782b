import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/express'
import express from 'express'
import type { Page } from 'playwright-core'
import type { FakeServer } from './support/fake-server.ts'
import { inBrowser, read, until } from './support/suite.ts'

const all = { actions: ['purge', 'limits', 'bans'] } as const

const posted = (server: FakeServer) =>
  server.asked.filter(({ method }) => method === 'POST').map(({ path, type, body }) => ({ path, type, body }))

const type = 'application/json'
const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true })
const said = (page: Page) => page.locator('.sayings [role=status]')

inBrowser('what is done through the page', ({ open }) => {
  test('nothing, unless the server allows it', async () => {
    const { page } = await open()
    await page.locator('#purge').getByText('Only looking').waitFor()
    await page.locator('#routes').scrollIntoViewIfNeeded()
    await page.getByText('9 of 9 shown').waitFor()
    expect(await page.getByRole('button', { name: /Purge|Ban|Reset|Lift/ }).count()).toBe(0)
  })

  test('a tag is purged, which is asked before and announced after', async () => {
    const { page, server, complaints } = await open(all)
    await page.getByRole('button', { name: 'Purge… tag city:7' }).click()
    const dialog = page.getByRole('dialog', { name: 'Purge this tag?' })
    expect(await read(dialog)).toContain('city:7')
    expect(posted(server)).toEqual([])
    await dialog.getByRole('button', { name: 'Do it' }).click()
    await until(async () => (await read(said(page))) === 'Done. Purged: tag city:7.', 'it is announced')
    expect(await said(page).getAttribute('aria-live')).toBe('polite')
    expect(posted(server)).toEqual([{ path: '/purge', type, body: { tags: ['city:7'] } }])
    expect(await dialog.count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('a URL that was searched is expired, and a route', async () => {
    const { page, server } = await open(all)
    await page.locator('input[name=url]').fill('/cities/7')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Purge… /cities/7' }).click()
    await page.getByLabel('Expire: it is stale').check()
    await page.getByRole('button', { name: 'Do it' }).click()
    await until(async () => (await read(said(page))) === 'Done. Expired: URL /cities/7.', 'it is announced')
    await page.getByRole('button', { name: 'Purge a route…' }).click()
    await field(page, 'Route').fill('/cities/:id')
    await page.keyboard.press('Enter')
    await until(async () => (await read(said(page))) === 'Done. Purged: route /cities/:id.', 'it is announced')
    expect(posted(server).map(({ body }) => body)).toEqual([
      { urls: ['/cities/7'], soft: true },
      { routes: ['/cities/:id'] },
    ])
  })

  test('everything only by who types the word', async () => {
    const { page, server } = await open(all)
    await page.getByRole('button', { name: 'Purge everything…' }).click()
    const dialog = page.getByRole('dialog')
    const go = dialog.getByRole('button', { name: 'Purge everything' })
    await go.click()
    await dialog.getByText('Type the word “everything” to go on.').waitFor()
    await dialog.getByLabel('Type everything to confirm').fill('everythin')
    await go.click()
    expect(posted(server)).toEqual([])
    await dialog.getByLabel('Type everything to confirm').fill('everything')
    await go.click()
    await until(async () => (await read(said(page))) === 'Done. Purged: everything.', 'it is announced')
    expect(posted(server)).toEqual([{ path: '/purge', type, body: { all: true, confirm: 'everything' } }])
  })

  test('what the server refuses is shown in its words, and what was typed stays', async () => {
    const { page, server } = await open(all)
    server.instead.set('POST /purge', {
      status: 400,
      body: { title: 'Bad Request', detail: 'A URL begins with / or http(s)://.' },
    })
    await page.getByRole('button', { name: 'Purge a URL…' }).click()
    await field(page, 'URL').fill('cities')
    await page.keyboard.press('Enter')
    const alert = page.getByRole('dialog').getByRole('alert')
    await until(async () => (await read(alert)) === 'Bad Request A URL begins with / or http(s)://.', 'it is shown')
    expect(await page.locator('dialog input[name=what]').inputValue()).toBe('cities')
    server.instead.clear()
    await page.keyboard.press('Enter')
    await until(async () => (await read(said(page))) === 'Done. Purged: URL cities.', 'it is done at last')
  })

  test('a server that is gone is said in the dialog', async () => {
    const { page, server } = await open(all)
    await page.getByRole('button', { name: 'Purge… tag city:7' }).click()
    await server.stop()
    await page.getByRole('button', { name: 'Do it' }).click()
    await page.getByRole('dialog').getByText('The server cannot be reached.').waitFor()
  })

  test('a key is reset, banned, and let in again', async () => {
    const { page, server } = await open(all)
    await page.getByRole('button', { name: 'Reset… a key of policy search' }).click()
    await field(page, 'Key').fill(' 192.0.2.1 ')
    await page.keyboard.press('Enter')
    await until(async () => (await read(said(page))) === 'Done. Reset: 192.0.2.1 of policy search.', 'it is announced')
    await page.getByRole('button', { name: 'Ban… a key from policy login' }).click()
    await field(page, 'Key').fill('192.0.2.1')
    await field(page, 'For how long').fill('2h')
    await field(page, 'Reason').fill('Tries passwords')
    await page.keyboard.press('Enter')
    await until(
      async () => (await read(said(page))) === 'Done. Banned: 192.0.2.1 from policy login for 2h.',
      'it is announced',
    )
    await page.getByRole('button', { name: 'Lift… the ban from login' }).first().click()
    await page.getByRole('button', { name: 'Lift the ban' }).click()
    await until(
      async () => (await read(said(page))) === 'Done. The ban from policy login is lifted.',
      'it is announced',
    )
    expect(posted(server)).toEqual([
      { path: '/limits/reset', type, body: { policy: 'search', key: '192.0.2.1' } },
      { path: '/bans/add', type, body: { policy: 'login', key: '192.0.2.1', for: '2h', reason: 'Tries passwords' } },
      { path: '/bans/lift', type, body: { policy: 'login', subject: 'subject-0-8fK2_x' } },
    ])
    // The list is asked for again at once.
    await until(
      async () => (await page.getByRole('button', { name: 'Lift…' }).count()) === 1,
      'the ban leaves the list',
    )
  })
})

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
    await field(page, 'Key').fill('192.0.2.1')
    await field(page, 'Reason').fill('Tries passwords')
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
