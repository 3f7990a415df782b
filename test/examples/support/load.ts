import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../../scripts/demo-load.mjs', import.meta.url))

/** `npm run demo:load -- …`. One of ten minutes is stopped by Ctrl-C as soon as it asks. */
export async function load(...args: readonly string[]) {
  const child = spawn(process.execPath, [script, ...args], { env: { PATH: process.env.PATH ?? '' } })
  let output = ''
  let errors = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  child.stderr.on('data', (text) => {
    errors += text
    // Once it asks, Ctrl-C.
    if (args.includes('600') && /Ctrl-C/.test(errors)) setTimeout(() => child.kill('SIGINT'), 300)
  })
  const [code] = await once(child, 'close')
  return { code, output, errors }
}
