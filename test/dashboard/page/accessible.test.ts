import { expect, test } from '@jest/globals'
import type { Page } from 'playwright-core'
import { faults } from './support/axe.ts'
import { inBrowser, read, until } from './support/suite.ts'
import type { WorldOptions } from './support/world.ts'

const all: WorldOptions = { processes: 10, redis: true, actions: ['purge', 'limits', 'bans'] }

const stories: Readonly<Record<string, WorldOptions>> = {
  'ten processes and all actions': all,
  'nothing yet': { empty: true },
  '5,000 routes': { routes: 5_000, actions: ['purge'] },
}

/** Each story in each colour and width. */
const looks = Object.keys(stories).flatMap((what) =>
  ['light', 'dark'].flatMap((colours) => [1440, 375].map((width) => [what, colours, width] as const)),
)

/** All that is asked for in view has been there. */
async function ready(page: Page): Promise<void> {
  await page.locator('#routes').scrollIntoViewIfNeeded()
  await page.locator('#routes .more').getByText('shown').waitFor()
  await page.locator('#limits').scrollIntoViewIfNeeded()
}

const hasSideScroll = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')

inBrowser('the page, for everybody', ({ open }) => {
  test.each(looks)('axe finds nothing, and nothing sticks out: %s, %s, %i pixels', async (what, colours, width) => {
    const { page, complaints } = await open(stories[what], {}, { dark: colours === 'dark', width })
    await ready(page)
    expect(await faults(page)).toEqual([])
    expect(await hasSideScroll(page)).toBe(false)
    expect(complaints).toEqual([])
  })

  test('axe finds nothing in a dialog with a complaint, in what was found, and while the server is gone', async () => {
    const { page, server } = await open(all, {}, { dark: true, width: 375 })
    await page.locator('input[name=url]').fill('/cities/7')
    await page.keyboard.press('Enter')
    await page.getByText('It is stored: 2 variants.').first().waitFor()
    await page.getByRole('button', { name: 'Purge everything…' }).click()
    await page.keyboard.press('Enter')
    await page.getByText('Type the word').waitFor()
    expect(await faults(page, "'dialog'")).toEqual([])
    await page.keyboard.press('Escape')
    await server.stop()
    await page.getByText('The server cannot be reached', { exact: false }).waitFor()
    expect(await faults(page)).toEqual([])
  })

  test('by keyboard: past the top, to a tag, through its dialog, and back', async () => {
    const { page, server } = await open(all)
    await page.getByText('Live', { exact: true }).waitFor()
    const focused = async (): Promise<string> => {
      const text = await page.evaluate('((e) => e.innerText || e.name || e.id)(document.activeElement)')
      return String(text).replace(/\s+/g, ' ')
    }
    // What is asked for in view is there: somebody who reads is slower than a test.
    await ready(page)
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to the figures')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('Traffic')
    const stops = new Set<string>()
    for (let step = 0; step < 60 && !stops.has('Purge… tag cities'); step++) {
      await page.keyboard.press('Tab')
      stops.add(await focused())
    }
    expect([...stops]).toEqual(
      expect.arrayContaining(['Route', 'q', 'Purge… /cities', 'url', 'Search', 'Purge… tag cities']),
    )
    // What has the focus is seen to have it.
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Purge this tag?' }).waitFor()
    await page.keyboard.press('Escape')
    await until(async () => (await focused()) === 'Purge… tag cities', 'the focus comes back')
    await page.keyboard.press('Enter')
    for (let step = 0; step < 6 && (await focused()) !== 'Do it'; step++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await until(() => server.asked.some(({ path }) => path === '/purge'), 'it is purged')
    // Out at the end: nothing keeps the focus.
    for (let step = 0; step < 80 && (await focused()) !== 'Purge everything…'; step++) await page.keyboard.press('Tab')
    expect(await focused()).toBe('Purge everything…')
  })

  test('has landmarks, headings in their order, tables with captions, and charts in words', async () => {
    const { page } = await open(all)
    await ready(page)
    for (const landmark of ['banner', 'navigation', 'main', 'search'] as const) {
      expect(await page.getByRole(landmark).count()).toBe(1)
    }
    const levels = (await page.evaluate(
      `[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))`,
    )) as number[]
    expect(levels[0]).toBe(1)
    expect(levels.filter((level, index) => level > (levels[index - 1] ?? 0) + 1)).toEqual([])
    for (const table of await page.getByRole('table').all()) {
      expect(await table.locator('caption').textContent()).toMatch(/\S/)
    }
    const words = await page.locator('.chart .unseen').allTextContents()
    expect(words[0]).toMatch(/^In the last 5 minutes, between [\d,]+ and [\d,]+, now [\d,]+ requests a second\.$/)
    expect(words).toHaveLength(6)
  })

  test('charts are told of in new words every 30 seconds, and not with each news', async () => {
    const { page, server } = await open({}, {}, { ownClock: true })
    await page.getByText('Live', { exact: true }).waitFor()
    const words = page.locator('.chart .unseen').first()
    const before = await words.textContent()
    const hits = page.locator('.totals dd').nth(2)
    for (let news = 0; news < 3; news++) {
      const shown = await read(hits)
      server.tick()
      await until(async () => (await read(hits)) !== shown, 'news is shown')
    }
    expect(await words.textContent()).toBe(before)
    // News goes on meanwhile, or the page would take the server for silent.
    for (let second = 0; second < 30; second += 3) {
      server.tick()
      await page.clock.runFor(3_000)
    }
    await until(async () => (await words.textContent()) !== before, 'the words are new')
  })
})
