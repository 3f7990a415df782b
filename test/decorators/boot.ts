import http from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import type { HandlerDecorators, SluiceOptions } from '@sluice/core'
import { createSluice as createExpress } from '@sluice/express'
import sluiceFastify from '@sluice/fastify'
import { createSluice as createKoa } from '@sluice/koa'
import { createSluice as createNode } from '@sluice/node'
import express5 from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import Koa3, { type Middleware } from 'koa'
import Koa2 from 'koa2'
import { Client } from '../hosts/harness/client.ts'
import type { Handler, Respond } from './fixtures/cities.ts'

/** What a suite uses of an instance, whichever framework it is of. */
export type Decorators = HandlerDecorators & {
  purge(target: { tags: string[] }): Promise<void>
  close(): Promise<void>
}

export interface Booted {
  readonly sluice: Decorators
  readonly respond: Respond
  /** Puts a handler on a path, for every method. Before `start`. */
  route(path: string, handler: Handler): void
  start(): Promise<Client>
  stop(): Promise<void>
}

export interface Framework {
  readonly name: string
  boot(options?: SluiceOptions): Promise<Booted>
}

async function listen(server: http.Server): Promise<Client> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return new Client((server.address() as AddressInfo).port)
}

function served(sluice: Decorators, respond: Respond, route: Booted['route'], make: () => http.Server): Booted {
  let server: http.Server | undefined
  let client: Client | undefined
  return {
    sluice,
    respond,
    route,
    async start() {
      server = make()
      client = await listen(server)
      return client
    },
    async stop() {
      client?.close()
      server?.closeAllConnections()
      server?.close()
      await sluice.close()
    },
  }
}

function expressOf(name: string, express: typeof express5): Framework {
  return {
    name,
    async boot(options) {
      const sluice = createExpress(options)
      const app = express()
      app.set('env', 'test')
      const respond: Respond = (args, body) => (args[1] as express5.Response).json(body)
      return served(
        sluice,
        respond,
        (path, handler) => app.all(path, handler),
        () => {
          app.use(((error, _req, res, _next) => {
            res.status(error.status ?? 500).json({ error: error.message })
          }) as express5.ErrorRequestHandler)
          return http.createServer(app)
        },
      )
    },
  }
}

function koaOf(name: string, Koa: typeof Koa3): Framework {
  return {
    name,
    async boot(options) {
      const sluice = createKoa(options)
      const app = new Koa()
      app.silent = true
      const router = new Router()
      const respond: Respond = (args, body) => {
        ;(args[0] as { body: unknown }).body = body
      }
      return served(
        sluice,
        respond,
        (path, handler) => router.all(path, handler as never),
        () => {
          app.use(router.routes() as unknown as Middleware)
          return http.createServer(app.callback() as http.RequestListener)
        },
      )
    },
  }
}

const node: Framework = {
  name: 'node:http',
  async boot(options) {
    const sluice = createNode(options)
    const routes = new Map<string, Handler>()
    const respond: Respond = (args, body) => {
      const response = args[1] as http.ServerResponse
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify(body))
    }
    return served(
      sluice,
      respond,
      (path, handler) => routes.set(path, handler),
      () =>
        http.createServer((request, response) => {
          routes.get(request.url!)!(request, response, (error?: Error & { status?: number }) => {
            response.statusCode = error?.status ?? 404
            response.end(JSON.stringify({ error: error?.message }))
          })
        }),
    )
  },
}

function fastifyOf(name: string, respond: Respond): Framework {
  return {
    name,
    async boot(options) {
      const app = fastify({ forceCloseConnections: true })
      await app.register(sluiceFastify, options ?? {})
      let client: Client | undefined
      return {
        sluice: app.sluice,
        respond,
        route: (path, handler) => app.all(path, handler as never),
        async start() {
          await app.listen({ port: 0, host: '127.0.0.1' })
          client = new Client((app.server.address() as AddressInfo).port)
          return client
        },
        async stop() {
          client?.close()
          await app.close()
        },
      }
    },
  }
}

export const frameworks: readonly Framework[] = [
  node,
  expressOf('Express 5', express5),
  expressOf('Express 4', express4 as unknown as typeof express5),
  koaOf('Koa 3', Koa3),
  koaOf('Koa 2', Koa2 as unknown as typeof Koa3),
  fastifyOf('Fastify 5, payloads returned', (_args, body) => body),
  fastifyOf('Fastify 5, reply.send', (args, body) => {
    ;(args[1] as { send(body: unknown): void }).send(body)
  }),
]
