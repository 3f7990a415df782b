// One process that asks from its very first moment: argv is the URL, the namespace, how often it asks, and the limit.
import { createSluice } from '@sluice/node'
import { redis } from '../library.ts'

const [url = '', namespace = '', count = '', limit = ''] = process.argv.slice(2)
const sluice = createSluice({
  backend: redis(url, { namespace }),
  limits: { all: `${limit}/min` },
})
const errors: string[] = []
sluice.on('error', ({ error }) => errors.push(error.message))
sluice.on('store-error', ({ error }) => errors.push(String(error)))
const answers = await Promise.all(Array.from({ length: Number(count) }, () => sluice.check('all', { key: 'k' })))
console.log(JSON.stringify({ admitted: answers.filter(({ allowed }) => allowed).length, errors }))
await sluice.close()
process.exit(0)
