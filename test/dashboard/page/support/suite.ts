import { afterAll, afterEach, describe, jest, test } from '@jest/globals'
import type { Browser, Locator } from 'playwright-core'
import { findBrowser, launch, openTab, remedy, type Tab, type Visit, type VisitOptions } from './browser.ts'
import { type FakeOptions, FakeServer } from './fake-server.ts'
import { World, type WorldOptions } from './world.ts'

export interface Stage {
  /** Serves a story and opens the page on it. */
  open(
    world?: WorldOptions,
    server?: FakeOptions,
    view?: VisitOptions,
  ): Promise<Visit & { readonly server: FakeServer }>
  /** Opens a page of another server. */
  visit(url: string, view?: VisitOptions): Promise<Visit>
}

/** One for all tests of a file: the first page of a browser takes as long as ten that follow. */
let shared: { readonly browser: Browser; tab: Tab } | undefined
let isClosing = false

async function tabOf(program: string): Promise<Tab> {
  if (!shared) {
    const browser = await launch(program)
    shared = { browser, tab: await openTab(browser) }
  }
  return shared.tab
}

/** Tests in a real browser; without one they are skipped, and it is said what to install. */
export function inBrowser(name: string, define: (stage: Stage) => void): void {
  const program = findBrowser()
  if (program === undefined) {
    // Jest has nothing to say of why a test is skipped.
    process.stderr.write(`${remedy}\n`)
    describe(name, () => test.skip(remedy, () => {}))
    return
  }
  // A browser on a machine that has other things to do takes its time.
  jest.setTimeout(60_000)
  if (!isClosing) afterAll(() => shared?.browser.close())
  isClosing = true
  describe(name, () => {
    const servers: FakeServer[] = []
    let isSpent = false
    afterEach(async () => {
      if (!shared || !isSpent) return
      // A clock that a test has moved stays with its tab.
      await shared.tab.close()
      shared.tab = await openTab(shared.browser)
      isSpent = false
    })
    afterAll(async () => {
      for (const server of servers) await server.stop()
    })
    const visit = async (url: string, view: VisitOptions = {}): Promise<Visit> => {
      isSpent = view.ownClock ?? false
      return (await tabOf(program)).go(url, view)
    }
    define({
      visit,
      async open(world, options, view) {
        const server = await new FakeServer(new World(world), options).start()
        servers.push(server)
        return { server, ...(await visit(server.url, view)) }
      },
    })
  })
}

/** Waits until something is so. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((go) => setTimeout(go, 20))) {
    if (await isSo()) return
  }
  throw new Error(`It never came to this: ${what}.`)
}

/** What somebody can read there. */
export function read(locator: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: what is hidden is not to be read
  return locator.innerText()
}
