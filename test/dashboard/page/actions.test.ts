import { expect, test } from '@jest/globals'
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
