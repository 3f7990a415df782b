import { expect, test } from '@jest/globals'
import { inBrowser, read } from './support/suite.ts'

const long = `/${'a long one '.repeat(900)}`

inBrowser('texts of those who mean ill', ({ open }) => {
  test.each([
    ['markup', `<img src=x onerror="complain('ran')"><script>complain('ran')</script>&lt;b&gt;`, '<img src=x onerror='],
    [
      'a text that ends elements',
      `"'></script></style></title><svg onload=complain('ran')>`,
      '</script></style></title>',
    ],
    [
      'marks that turn the text round',
      '\u202ecod.exe\u2066/\u200b\u0000end',
      '\\u202ecod.exe\\u2066/\\u200b\\u0000end',
    ],
    ['ten thousand characters', long, 'characters)'],
    ['a word without a place to break it', 'w'.repeat(10_000), 'characters)'],
    ['a script written from right to left', 'مدن/القاهرة?q=שלום', 'مدن/القاهرة?q=שלום'],
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
