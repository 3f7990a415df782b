import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { findBrowser, launch, openTab, remedy, type VisitOptions } from './browser.ts'
import { FakeServer } from './fake-server.ts'
import { World, type WorldOptions } from './world.ts'

interface Shot {
  readonly name: string
  readonly world: WorldOptions
  readonly view: VisitOptions
  /** The part that stands at the top; else the page begins there. */
  readonly from?: string
}

/** The same moment each time, so that a picture changes only with the page. */
const now = Date.UTC(2026, 0, 15, 10, 30)

const ten: WorldOptions = { processes: 10, redis: true, actions: ['purge', 'limits', 'bans'], now }

export const shots: readonly Shot[] = [
  { name: 'light', world: ten, view: { width: 1440, height: 1000 } },
  { name: 'dark', world: ten, view: { width: 1440, height: 1000, dark: true } },
  { name: 'routes', world: ten, view: { width: 1440, height: 1000 }, from: '#routes' },
  { name: 'narrow', world: { now }, view: { width: 375, height: 1200 } },
]

const mostBytes = 250_000

/** Takes the pictures of the documentation. @returns the files */
export async function takeShots(folder: string, which: readonly Shot[] = shots): Promise<string[]> {
  const program = findBrowser()
  if (!program) throw new Error(remedy)
  mkdirSync(folder, { recursive: true })
  const browser = await launch(program)
  const files: string[] = []
  try {
    for (const { name, world, view, from } of which) {
      const server = await new FakeServer(new World(world)).start()
      const tab = await openTab(browser, 'UTC')
      const { page } = await tab.go(server.url, view)
      // Routes are asked for when they are in view.
      await page.locator('#routes').scrollIntoViewIfNeeded()
      await page.locator('#routes .more').getByText('shown').waitFor()
      const top =
        from === undefined ? 0 : `document.querySelector('${from}').getBoundingClientRect().top + scrollY - 48`
      await page.evaluate(`scrollTo(0, ${top})`)
      const path = join(folder, `dashboard-${name}.png`)
      await page.screenshot({ path })
      await tab.close()
      await server.stop()
      if (statSync(path).size > mostBytes) throw new Error(`${path} is above ${mostBytes} bytes.`)
      files.push(path)
    }
  } finally {
    await browser.close()
  }
  return files
}
