import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * What was made of a source is kept between runs, by its name and content: the tests start these programs some hundred
 * times. Loading the compiler alone takes longer than reading all that it made.
 */
const kept = fileURLToPath(new URL('../../../node_modules/.cache/sluice-typescript', import.meta.url))
const options = {
  swcrc: false,
  sourceMaps: 'inline',
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { decoratorVersion: '2022-03' },
  },
}
const of = createHash('sha256')
  .update(JSON.stringify([options, process.version]))
  .update(readFileSync(new URL('../../../pnpm-lock.yaml', import.meta.url)))
  .digest()

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const filename = fileURLToPath(url)
  const text = readFileSync(filename, 'utf8')
  const name = join(
    kept,
    `${createHash('sha256').update(of).update(filename).update('\0').update(text).digest('hex')}.mjs`,
  )
  return { format: 'module', source: keptAs(name) ?? (await make(filename, text, name)), shortCircuit: true }
}

function keptAs(name) {
  try {
    return readFileSync(name, 'utf8')
  } catch {
    return undefined
  }
}

async function make(filename, text, name) {
  const { transformSync } = await import('@swc/core')
  const { code } = transformSync(text, { filename, ...options })
  try {
    mkdirSync(kept, { recursive: true })
    // Others may be writing the same, and nobody may read half of it.
    const own = `${name}.${process.pid}`
    writeFileSync(own, code)
    renameSync(own, name)
  } catch {
    // Where nothing can be written each start makes it anew.
  }
  return code
}
