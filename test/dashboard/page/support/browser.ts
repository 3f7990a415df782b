import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

/** A browser of this machine: the one that CHROME_PATH names, or the first on the PATH. */
export function findBrowser(): string | undefined {
  const named = process.env.CHROME_PATH
  if (named) return named
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const remedy =
  'There is no Chromium here, so the page of the dashboard is not tested: `apt-get install chromium`, or name one in CHROME_PATH.'

export async function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // Tests run as whoever they run as, root in containers included, and load nothing but their own servers.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb'],
  })
}

export interface Visit {
  readonly page: Page
  /** What the page said on the console, threw, or was kept from by its policy. */
  readonly complaints: string[]
}

export interface VisitOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
  /** The page's clock is the test's: `page.clock`. */
  readonly ownClock?: boolean
}

export interface Tab extends Visit {
  go(url: string, options?: VisitOptions): Promise<Visit>
  close(): Promise<void>
}

/** A tab, to be used for one page after the other: to open one takes longer than most tests do. */
export async function openTab(browser: Browser, zone?: string): Promise<Tab> {
  const context = await browser.newContext({
    reducedMotion: 'reduce',
    ...(zone !== undefined && { timezoneId: zone }),
  })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(`console ${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  // What the page before had to say of its end is nobody's concern.
  page.on('framenavigated', () => complaints.splice(0))
  await context.exposeBinding('complain', (_source, text: string) => complaints.push(text))
  await context.addInitScript(
    `addEventListener('securitypolicyviolation', (e) => complain('policy: ' + e.effectiveDirective + ' ' + e.blockedURI))`,
  )
  return {
    page,
    complaints,
    close: () => context.close(),
    async go(url, { width = 1440, height = 900, dark = false, ownClock = false } = {}) {
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' })
      if (ownClock) await page.clock.install()
      await page.goto(url)
      return { page, complaints }
    },
  }
}
