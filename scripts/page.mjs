// npm run page
import { requireNode } from './lib/node-version.mjs'

requireNode()
// Only now: what follows may use what an old Node does not have.
const { writeFileSync } = await import('node:fs')
const { gzipSync } = await import('node:zlib')
const { runMain, say } = await import('./lib/say.mjs')
const { install } = await import('./lib/install.mjs')

runMain(async () => {
  await install()
  const { DOCUMENT, makePage, sourceOf } = await import('./lib/page.mjs')
  const page = await makePage()
  writeFileSync(DOCUMENT, sourceOf(page))
  say(`The page is ${page.html.length} bytes, and ${gzipSync(page.html, { level: 9 }).length} with gzip.`)
  return 0
})
