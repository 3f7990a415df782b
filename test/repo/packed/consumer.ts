import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { must, type Packed, pnpm } from './pack.ts'

/** What a consumer of Sluice depends on beside it. */
const DEPENDENCIES = {
  express: '^5.0.0',
  koa: '^3.0.0',
  fastify: '^5.0.0',
  'prom-client': '^15.0.0',
  '@opentelemetry/api': '^1.9.0',
}
const DEV_DEPENDENCIES = {
  '@types/express': '^5.0.0',
  '@types/koa': '^3.0.0',
  '@types/node': '^20.19.0',
  typescript5: 'npm:typescript@~5.9.0',
}

/**
 * Three applications that install the tarballs: an ESM project, a CommonJS project, and a CommonJS project that tests
 * with Jest and no transform. One installation serves all three.
 *
 * @throws Error when they do not install
 */
export async function installConsumers(root: string, packed: readonly Packed[]): Promise<void> {
  const tarballs = Object.fromEntries(packed.map(({ name, tarball }) => [name, `file:${tarball}`]))
  const write = (file: string, content: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), content)
  }
  // The packages ask for each other by version, and these versions are in no registry.
  const overrides = Object.entries(tarballs).map(([name, tarball]) => `  "${name}": "${tarball}"`)
  write(
    'pnpm-workspace.yaml',
    `packages: [esm, cjs, jest]\nstrictDepBuilds: false\noverrides:\n${overrides.join('\n')}\n`,
  )
  write('package.json', '{ "private": true }')
  for (const [name, type] of [
    ['esm', 'module'],
    ['cjs', 'commonjs'],
    ['jest', 'commonjs'],
  ] as const) {
    const dependencies = { ...DEPENDENCIES, ...tarballs }
    write(
      `${name}/package.json`,
      JSON.stringify({
        name: `consumer-${name}`,
        private: true,
        type,
        dependencies,
        devDependencies: DEV_DEPENDENCIES,
      }),
    )
  }

  const names = packed.map(({ name }) => name)
  write('esm/main.js', `${esmImports(names)}\n${program()}\nawait run()\n`)
  write('cjs/main.js', `${cjsImports(names)}\n${program()}\nrun()\n`)
  write('jest/sluice.test.js', `${cjsImports(names)}\n${program()}\ntest('Sluice works', run)\n`)
  for (const name of ['esm', 'cjs']) {
    write(`${name}/consumer.ts`, typedModule())
    write(`${name}/tsconfig.nodenext.json`, tsconfig({ module: 'nodenext', moduleResolution: 'nodenext' }))
    write(`${name}/tsconfig.bundler.json`, tsconfig({ module: 'preserve', moduleResolution: 'bundler' }))
  }
  await must(pnpm(['install', '--prefer-offline', '--no-frozen-lockfile'], root), 'The tarballs do not install')
}

function esmImports(names: readonly string[]): string {
  return [
    "import assert from 'node:assert/strict'",
    "import http from 'node:http'",
    "import express from 'express'",
    "import Koa from 'koa'",
    "import Fastify from 'fastify'",
    ...names.map((name, index) => `import * as sluice${index} from '${name}'`),
    `const sluices = { ${names.map((name, index) => `'${name}': sluice${index}`).join(', ')} }`,
  ].join('\n')
}

function cjsImports(names: readonly string[]): string {
  return [
    "const assert = require('node:assert/strict')",
    "const http = require('node:http')",
    "const express = require('express')",
    "const Koa = require('koa')",
    "const Fastify = require('fastify')",
    `const sluices = { ${names.map((name) => `'${name}': require('${name}')`).join(', ')} }`,
  ].join('\n')
}

interface Use {
  /** A function body: serves `handle()` as JSON behind a cached route, given what the package exports. */
  serve?: string
  /** Statements of a module that type-checks; each starts on a line of its own. */
  typed: string
}

/** How an application uses each package. A new package gets its entry here, or it is imported and no more. */
const USES: Record<string, Use> = {
  '@sluice/core': {
    typed: `
import * as core from '@sluice/core'
export const isOurs: boolean = core.isSluiceError(new Error('no'))
`,
  },
  '@sluice/node': {
    serve: `
const sluice = exported.createSluice()
const cached = sluice.cache('5m', { tags: ['cities'] })
const server = http.createServer((req, res) =>
  cached(req, res, () => {
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(handle()))
  }),
)
return { sluice, server: server.listen(0, '127.0.0.1') }
`,
    typed: `
import { createSluice as createNodeSluice } from '@sluice/node'
export const middleware = createNodeSluice().cache('5m')
`,
  },
  '@sluice/express': {
    serve: `
const sluice = exported.createSluice()
const app = express()
app.get('/cities', sluice.cache('5m', { tags: ['cities'] }), (req, res) => res.json(handle()))
return { sluice, server: app.listen(0, '127.0.0.1') }
`,
    // Were the types any, the expected errors would be missing.
    typed: `
import express from 'express'
import { createSluice } from '@sluice/express'
const sluice = createSluice({ cache: { maxBytes: '64mb' } })
const app = express()
app.get('/cities', sluice.cache('5m', { tags: ['cities'] }), (_req, res) => {
  res.sluice.tag('city:1')
  res.json([])
})
export const purged: Promise<unknown> = Promise.resolve(sluice.purge({ tags: ['cities'] }))
// @ts-expect-error there is no such option
createSluice({ cahce: {} })
// @ts-expect-error tags are a list
sluice.cache('5m', { tags: 5 })
// @ts-expect-error there is no such member
sluice.kache('5m')
`,
  },
  '@sluice/koa': {
    serve: `
const sluice = exported.createSluice()
const app = new Koa()
app.use(sluice.cache('5m', { tags: ['cities'] }))
app.use((ctx) => {
  ctx.body = handle()
})
return { sluice, server: app.listen(0, '127.0.0.1') }
`,
    typed: `
import Koa from 'koa'
import { createSluice as createKoaSluice } from '@sluice/koa'
const koa = new Koa()
koa.use(createKoaSluice().cache('5m'))
koa.use((ctx) => ctx.sluice.tag('city:1'))
`,
  },
  '@sluice/prometheus': {
    typed: `
import { createSluice as createObserved } from '@sluice/node'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
export const metrics = prometheus(createObserved(), { registry: new Registry(), prefix: 'shop_' })
export const scraped: Promise<string> = metrics.render('text/plain').then(({ body }) => body)
// @ts-expect-error there is no such option
prometheus(createObserved(), { prefixes: 'shop_' })
`,
  },
  '@sluice/opentelemetry': {
    typed: `
import { createSluice as createTraced } from '@sluice/node'
import { type Attachment, opentelemetry } from '@sluice/opentelemetry'
export const attached: Attachment = opentelemetry(createTraced(), { spans: ['fill', 'backend'], maxRoutes: 100 })
// @ts-expect-error there is no such span
opentelemetry(createTraced(), { spans: ['fills'] })
`,
  },
  '@sluice/fastify': {
    serve: `
const app = Fastify()
await app.register(exported.default, {})
app.get('/cities', { config: { sluice: { cache: '5m', tags: ['cities'] } } }, async () => handle())
await app.listen({ port: 0, host: '127.0.0.1' })
return { sluice: app.sluice, server: app.server, app }
`,
    typed: `
import Fastify from 'fastify'
import sluicePlugin from '@sluice/fastify'
const fastify = Fastify()
fastify.register(sluicePlugin, { cache: { maxBytes: '64mb' } })
fastify.get('/cities', { config: { sluice: { cache: '5m' } } }, async (_request, reply) => reply.sluice.tag('city:1'))
`,
  },
  '@sluice/admin': {
    // Opens to the door of an instance from another copy of core, too: what it is given is an object of node's.
    serve: `
const sluice = sluices['@sluice/node'].createSluice()
const cached = sluice.cache('5m', { tags: ['cities'] })
const door = exported.admin(sluice, { authorize: () => 'me', path: '/ops' })
const server = http.createServer((req, res) =>
  door(req, res, () =>
    cached(req, res, () => {
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify(handle()))
    }),
  ),
)
return { sluice, server: server.listen(0, '127.0.0.1') }
`,
    typed: `
import { admin, bearer } from '@sluice/admin'
app.use('/ops', admin(sluice, { authorize: bearer('correct-horse-battery') }))
koa.use(admin(createKoaSluice(), { authorize: (ctx: Koa.Context) => ctx.ip === '::1', path: '/ops' }).koa)
fastify.register(admin(fastify.sluice, { authorize: () => 'ann' }).fastify, { prefix: '/ops' })
// @ts-expect-error there is no such action
admin(sluice, { actions: ['look'] })
`,
  },
}

/** Adapters still to be written: imported, and no more. The programs fail as soon as one of them can be used. */
const NOT_YET: readonly string[] = []

/** Uses every package as an application does: the second answer comes from the cache, a purge is seen at once. */
function program(): string {
  const hosts = Object.entries(USES).flatMap(([name, { serve }]) =>
    serve === undefined ? [] : [`'${name}': async (exported, handle) => {${serve}},`],
  )
  return `
const hosts = {
${hosts.join('\n')}
}

async function run() {
  for (const [name, exported] of Object.entries(sluices)) {
    assert.ok(Object.keys(exported).length > 0, name + ' exports nothing')
    if (${JSON.stringify(NOT_YET)}.includes(name)) {
      assert.ok(!exported.createSluice && !exported.default, name + ' works now: take it off NOT_YET in consumer.ts')
      continue
    }
    if (!(name in hosts)) continue
    let calls = 0
    const { sluice, server, app } = await hosts[name](exported, () => ({ calls: ++calls }))
    try {
      if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
      const get = async () => {
        const response = await fetch('http://127.0.0.1:' + server.address().port + '/cities')
        assert.equal(response.status, 200, name)
        return [(await response.json()).calls, response.headers.get('cache-status')]
      }
      assert.equal((await get())[0], 1, name)
      const [answered, status] = await get()
      assert.equal(answered, 1, name + ' answered the second request from its handler')
      assert.match(status, /hit/, name)
      await sluice.purge({ tags: ['cities'] })
      assert.equal((await get())[0], 2, name + ' answered from the cache after a purge')
    } finally {
      // Keep-alive connections of fetch would hold the server open.
      server.closeAllConnections()
      await (app ? app.close() : new Promise((resolve) => server.close(resolve)))
      await sluice.close()
    }
  }
  console.log('used ' + Object.keys(sluices).join(', '))
}
`
}

function typedModule(): string {
  return Object.entries(USES)
    .map(([name, { typed }]) => (NOT_YET.includes(name) ? '' : typed))
    .join('')
}

function tsconfig(resolution: Record<string, string>): string {
  return JSON.stringify({
    compilerOptions: {
      ...resolution,
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      strict: true,
      esModuleInterop: true,
      noEmit: true,
      // Our declarations are checked with the consumer's code: an import in them that leads nowhere is an error.
      skipLibCheck: false,
    },
    files: ['consumer.ts'],
  })
}
