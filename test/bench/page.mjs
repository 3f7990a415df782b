/**
 * What pagination costs: page 3 of a list, 20 items, by `sluice.paginate()` and by the same written by hand in the
 * handler (two parameters read, `Link` and `X-Total-Count` set); and by signed cursors. `npm run bench -- page`; arguments
 * behind it choose frameworks.
 */
import { fileURLToPath } from 'node:url'
import { compare, report } from './lib/compare.mjs'

const script = fileURLToPath(new URL('./page-servers.mjs', import.meta.url))
const wanted = process.argv.slice(2)
const frameworks = ['node', 'express', 'koa', 'fastify'].filter((name) => !wanted.length || wanted.includes(name))

console.log('A page of 20 items. Ratios are medians over rounds; base is the same framework with pagination by hand.')
for (const name of frameworks) {
  const names = [name, `${name} + pages`, `${name} + cursors`]
  // `page` means nothing to a list with cursors: all three answer the same items.
  const figures = await compare({ script, names, path: '/?page=3&limit=20', rounds: 7, count: 8_000, warmUp: 8_000 })
  report(name, figures, name)
}
