// node --import this --conditions=sluice-source program.ts: runs a program and our packages from their sources, on every
// Node we support and without a build in between.
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)

// The parent holds the other end of stdin: a parent that was killed takes this process with it.
process.stdin.on('close', () => process.exit(1)).resume()
process.stdin.unref?.()
