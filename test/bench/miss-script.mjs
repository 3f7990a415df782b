import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { createServer } from 'node:http'
import { fork } from 'node:child_process'
const list = Array.from({ length: 160 }, (_, i) => ({ id: i, name: `City number ${i}`, population: i * 1000, country: 'NO' }))
const expressApp = (mw) => { const app = express(); if (mw) app.use(mw); app.get('/list', (req, res) => { res.json(list) }); return app }
const koaApp = (mw) => { const app = new Koa(); if (mw) app.use(mw); app.use((ctx) => { ctx.body = list }); return app.callback() }
const nodeApp = async (cached) => { const h = (req, res) => { res.setHeader('Content-Type', 'application/json'); res.end(JSON.stringify(list)) }; return cached ? (req, res) => cached(req, res, () => h(req, res)) : h }
const fastifyApp = async (plugin) => { const app = Fastify(); if (plugin) await app.register(plugin); app.get('/list', plugin ? { config: { sluice: { cache: '5m' } } } : {}, async () => list); await app.ready(); return app.routing }
const make = {
  express: () => expressApp(),
  'express+': async () => expressApp((await import('@sluice/express')).createSluice().cache('5m')),
  koa: () => koaApp(),
  'koa+': async () => koaApp((await import('@sluice/koa')).createSluice().cache('5m')),
  node: () => nodeApp(),
  'node+': async () => nodeApp((await import('@sluice/node')).createSluice().cache('5m')),
  fastify: () => fastifyApp(),
  'fastify+': async () => fastifyApp((await import('@sluice/fastify')).default),
}
let n = 0
const hit = process.env.HIT === '1'
const socket = new Socket(); Object.defineProperty(socket, 'remoteAddress', { value: '127.0.0.1', configurable: true }); socket.write = () => true; socket.setMaxListeners(0); socket.destroySoon = () => {}
function ask(app) {
  return new Promise((resolve) => {
    const req = new IncomingMessage(socket)
    Object.assign(req, { method: 'GET', url: hit ? '/list' : `/list?n=${n++}`, headers: { host: 'localhost:3000', accept: '*/*', 'user-agent': 'x', 'accept-encoding': 'identity' }, complete: true, httpVersionMajor: 1, httpVersionMinor: 1, httpVersion: '1.1' })
    req.push(null)
    const res = new ServerResponse(req)
    const { end } = res
    res.end = function (...args) { const r = end.apply(this, args); if (res.statusCode !== 200) throw new Error(`${res.statusCode}`); setImmediate(() => { res.emit('finish'); req.emit('close'); res.emit('close'); resolve() }); return r }
    app(req, res)
  })
}
const name = process.argv[2]
const wait = (k) => new Promise((r) => k.once('message', r))
if (process.argv[3] === 'loop') {
  const app = await make[name]()
  for (let i = 0; i < Number(process.argv[4]); i++) await ask(app)
  process.exit()
} else if (process.send) {
  const app = await make[name]()
  for (let i = 0; i < 3000; i++) await ask(app)
  process.on('message', async (count) => { const b = process.cpuUsage(); for (let i = 0; i < count; i++) await ask(app); const u = process.cpuUsage(b); process.send((u.user + u.system) / count) })
  process.send('ready')
} else {
  const names = (name ?? 'express,express+').split(',')
  const kids = []
  for (const one of names) { const k = fork(process.argv[1], [one], { execArgv: [], env: { ...process.env, NODE_ENV: 'production' } }); kids.push(k); await wait(k) }
  const took = names.map(() => [])
  for (let r = 0; r < Number(process.env.ROUNDS ?? 25); r++) for (let i = 0; i < kids.length; i++) { const at = (i + r) % kids.length; kids[at].send(200); took[at].push(await wait(kids[at])) }
  const q = (l, p) => [...l].sort((a, b) => a - b)[Math.floor(l.length * p)]
  names.forEach((one, i) => { const base = names.indexOf(one.replace('+', '')); console.log(one.padEnd(10), q(took[i], .1).toFixed(1), q(took[i], .5).toFixed(1), 'x p10', (q(took[i], .1) / q(took[base], .1)).toFixed(2), 'x p50', (q(took[i], .5) / q(took[base], .5)).toFixed(2)) })
  for (const k of kids) k.kill()
}
