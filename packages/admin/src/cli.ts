#!/usr/bin/env node
// npx sluice …
import { runCommand } from './command/command.ts'

const stop = new AbortController()
// Once: a second Ctrl-C ends it as it ends any program.
process.once('SIGINT', () => stop.abort())

void runCommand(process.argv.slice(2), { out: process.stdout, error: process.stderr }, stop.signal).then((code) => {
  process.exitCode = code
})
