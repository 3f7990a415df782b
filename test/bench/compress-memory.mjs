/**
 * What a compressed stream holds in memory while it is open: heap and buffers per response, Sluice against `compression`,
 * `koa-compress` and `@fastify/compress`, the same pieces at the same gzip level. zlib itself takes another 260 kB, which
 * JavaScript does not see and which is the same for all. `npm run bench -- compress-memory`.
 */
import { fork } from 'node:child_process'
import { get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { median } from './lib/rounds.mjs'

const script = fileURLToPath(new URL('./compress-servers.mjs', import.meta.url))
const open = 300
const pairs = [
  ['express + compression', 'express + sluice'],
  ['koa + koa-compress', 'koa + sluice'],
  ['fastify + @fastify/compress', 'fastify + sluice'],
]

console.log(`${open} streams open at a time. Memory per response, medians of 3 runs.`)
for (const pair of pairs) {
  const figures = pair.map(() => [])
  for (let run = 0; run < 3; run++) {
    for (const [i, name] of pair.entries()) figures[i].push(await measure(name))
  }
  const [theirs, ours] = figures.map(median)
  for (const [i, name] of pair.entries()) console.log(`${name.padEnd(30)} ${(median(figures[i]) / 1024).toFixed(1)} kB`)
  console.log(`against ${pair[0]}: × ${(ours / theirs).toFixed(2)} (goal: at most 1)`)
}

async function measure(name) {
  const child = fork(script, [name], { env: { ...process.env, NODE_ENV: 'production' }, execArgv: ['--expose-gc'] })
  const ask = (what) =>
    new Promise((resolve) => {
      child.once('message', resolve)
      child.send(what)
    })
  const { port } = await new Promise((resolve) => child.once('message', resolve))
  const requests = []
  const start = (count) =>
    Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise((resolve, reject) => {
            const request = get(
              { port, path: '/open', headers: { 'Accept-Encoding': 'gzip' }, agent: false },
              (answer) => {
                answer.on('data', () => {})
                answer.on('error', () => {})
                if (answer.headers['content-encoding'] !== 'gzip') reject(new Error(`${name} did not compress`))
                resolve()
              },
            )
            request.on('error', () => {})
            requests.push(request)
          }),
      ),
    )
  // What is loaded and grown once is not what a response holds.
  await start(50)
  for (const request of requests.splice(0)) request.destroy()
  await wait(300)
  const before = await ask('memory')
  await start(open)
  await wait(300)
  const after = await ask('memory')
  for (const request of requests) request.destroy()
  child.kill()
  return (after.held - before.held) / open
}
