import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Server } from './kept-server.ts'
import { onParentGone } from './parent.ts'
import { patienceMs } from './running.ts'

/*
 * Runs a server for as long as somebody wants it. Redis and nginx would outlive a cluster that was killed; this process
 * is between, and notices. It leads a group of its own, which is the server with all that it starts.
 */
const { program, args, askWith, directory } = JSON.parse(process.argv[2]!) as Server

const server = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
server.once('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
server.once('exit', (code) => process.exit(code ?? 1))
process.once('exit', () => {
  if (directory) rmSync(directory, { recursive: true, force: true })
})

let ending = false

function end(): void {
  if (ending) return
  ending = true
  server.kill(askWith)
  setTimeout(() => process.kill(-process.pid, 'SIGKILL'), patienceMs)
}

onParentGone(end)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
