/**
 * What a stored miss costs against the same route without a cache: 10 kB of JSON, every request another URL. Without sockets:
 * requests and responses are node's own objects, given to the application by hand. `npm run bench -- miss-script`; arguments
 * behind it choose frameworks.
 *
 * Each contestant runs in a process of its own, and they take turns in slices of 200 requests; what counts is a process's CPU
 * time, and of the slices the tenth part that was disturbed least.
 *
 * Goal: at most 1.25 × the route without a cache.
 */
import { fork } from 'node:child_process'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { rotate } from './lib/rounds.mjs'

const list = Array.from({ length: 160 }, (_, i) => ({
  id: i,
  name: `City number ${i}`,
  population: i * 1000,
  country: 'NO',
}))

function nodeApp(middleware) {
  const handler = (_req, res) => {
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(list))
  }
  return middleware ? (req, res) => middleware(req, res, () => handler(req, res)) : handler
}

function expressApp(middleware) {
  const app = express()
  if (middleware) app.use(middleware)
  app.get('/list', (_req, res) => void res.json(list))
  return app
}

function koaApp(middleware) {
  const app = new Koa()
  if (middleware) app.use(middleware)
  app.use((ctx) => {
    ctx.body = list
  })
  return app.callback()
}

async function fastifyApp(plugin) {
  const app = Fastify()
  if (plugin) await app.register(plugin)
  app.get('/list', { config: plugin ? { sluice: { cache: '5m' } } : {} }, async () => list)
  await app.ready()
  return app.routing
}

const cacheOn = async (framework) => (await import(`@sluice/${framework}`)).createSluice().cache('5m')
const make = {
  node: () => nodeApp(),
  'node + sluice': async () => nodeApp(await cacheOn('node')),
  express: () => expressApp(),
  'express + sluice': async () => expressApp(await cacheOn('express')),
  koa: () => koaApp(),
  'koa + sluice': async () => koaApp(await cacheOn('koa')),
  fastify: () => fastifyApp(),
  'fastify + sluice': async () => fastifyApp((await import('@sluice/fastify')).default),
}

const socket = new Socket()
socket.setMaxListeners(0)
Object.defineProperty(socket, 'remoteAddress', { value: '127.0.0.1', configurable: true })
const headers = { host: 'localhost:3000', accept: '*/*', 'user-agent': 'bench' }
let asked = 0

function ask(app) {
  return new Promise((resolve) => {
    const req = new IncomingMessage(socket)
    Object.assign(req, { method: 'GET', url: `/list?n=${asked++}`, headers: { ...headers }, complete: true })
    Object.assign(req, { httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 })
    req.push(null)
    const res = new ServerResponse(req)
    const { end } = res
    res.end = function (...args) {
      const result = end.apply(this, args)
      if (res.statusCode !== 200) throw new Error(`${res.statusCode}`)
      // Back to the event loop each time, as with sockets: what is left for the next tick would heap up otherwise.
      setImmediate(() => {
        for (const [of, name] of [
          [res, 'finish'],
          [req, 'close'],
          [res, 'close'],
        ])
          of.emit(name)
        resolve()
      })
      return result
    }
    app(req, res)
  })
}

/** Microseconds of CPU per request. */
async function slice(app, count) {
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) await ask(app)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const next = (child) => new Promise((resolve) => child.once('message', resolve))

async function compare(names, rounds) {
  const children = new Map()
  for (const name of names) {
    const child = fork(fileURLToPath(import.meta.url), [name], { env: { ...process.env, NODE_ENV: 'production' } })
    children.set(name, child)
    await next(child)
  }
  const took = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of rotate(names, round)) {
      children.get(name).send(200)
      took.get(name).push(await next(children.get(name)))
    }
  }
  for (const child of children.values()) child.kill()
  return took
}

const least = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 10)]

if (process.send) {
  const app = await make[process.argv[2]]()
  await slice(app, 3_000)
  process.on('message', async (count) => process.send(await slice(app, count)))
  process.send('ready')
} else {
  const wanted = process.argv.slice(2)
  for (const framework of ['node', 'express', 'koa', 'fastify']) {
    if (wanted.length > 0 && !wanted.includes(framework)) continue
    const took = await compare([framework, `${framework} + sluice`], 60)
    const [bare, cached] = [...took.values()].map(least)
    console.log(
      `${framework}: ${bare.toFixed(1)} µs, a stored miss ${cached.toFixed(1)} µs: × ${(cached / bare).toFixed(2)}`,
    )
  }
}
