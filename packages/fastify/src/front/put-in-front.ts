import type { RequestListener } from 'node:http'
import type { FrontAccess } from '@sluice/core'
import { type FrontOptions, frontListener } from '@sluice/node'
import type { FastifyInstance, FastifyRequest } from 'fastify'

type Constraints = Readonly<Record<string, unknown>> | undefined

/** Puts the door in the place of what listens to the requests of an application's server. */
export function putInFront(app: FastifyInstance, access: FrontAccess, options: FrontOptions): void {
  const { server } = app
  const listeners = server.listeners('request') as RequestListener[]
  const fastify: RequestListener = (request, response) => {
    for (const listener of listeners) listener.call(server, request, response)
  }
  const front = frontListener({ access, handler: fastify, addressOf: addressOf(app) }, options)
  server.removeAllListeners('request')
  server.on('request', front)
  app.addHook('onRoute', ({ constraints, url }) => {
    const other = Object.keys((constraints as Constraints) ?? {}).filter((name) => name !== 'host')
    // Then the same URL leads to several routes, by what only Fastify can tell.
    if (other.length > 0) access.door.refuseAll(`route ${url} is told apart by ${other.join(' and ')}`)
  })
}

/** Fastify makes a class of requests for its `trustProxy`. */
function addressOf(app: FastifyInstance): ((request: object) => string | undefined) | undefined {
  const key = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.Request')
  const made = key && (app as unknown as Record<symbol, { prototype?: object } | undefined>)[key]
  const { prototype } = made ?? {}
  return prototype && ((raw) => (Object.create(prototype, { raw: { value: raw } }) as FastifyRequest).ip)
}
