// node --import this --conditions=sluice-source program.ts: runs a program and our packages from their sources, on every
// Node we support and without a build in between.
import { register } from 'node:module'
import './end-with-test.mjs'

register('./typescript-hooks.mjs', import.meta.url)
