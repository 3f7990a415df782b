import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** What axe finds, all of it: the guidelines and its best practices. */
export async function faults(page: Page, within = 'document'): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations, incomplete } = (await page.evaluate(
    `axe.run(${within}, { resultTypes: ['violations', 'incomplete'], preload: false })`,
  )) as axe.AxeResults
  // What axe cannot judge is a fault too, but for contrasts over pictures, of which there are none but bars and charts.
  const unsure = incomplete.filter(({ id }) => id !== 'color-contrast')
  return [...violations, ...unsure].flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))
}
