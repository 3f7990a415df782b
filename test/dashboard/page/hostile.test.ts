import { expect, test } from '@jest/globals'
import { inBrowser, read } from './support/suite.ts'

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
