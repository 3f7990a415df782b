import type { IncomingMessage } from 'node:http'
import { bodyOf } from '../door/answer.ts'
import { below } from '../door/request.ts'
import type { Host } from './host.ts'

/** What of Fastify the door touches: shapes, so that nobody needs Fastify's types who does not use it. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
  readonly ip: string
  readonly body: unknown
}

export interface FastifyReplyLike {
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(body: unknown): unknown
}

export interface FastifyLike {
  readonly prefix: string
  readonly supportedMethods: string[]
  addHttpMethod(method: string, options: object): unknown
  removeAllContentTypeParsers(): unknown
  addContentTypeParser(type: string, parser: object): unknown
  route(options: object): unknown
}

/** For Fastify: `app.register(door.fastify, { prefix: '/ops' })`. */
export type FastifyDoor = (app: FastifyLike) => Promise<void>

/** @param only - the one method that is taken, at any URL */
export function fastifyDoor({ answer }: Host, only?: string): FastifyDoor {
  return async (app: FastifyLike) => {
    if (!app.supportedMethods.includes('PURGE')) app.addHttpMethod('PURGE', { hasBody: true })
    // In here bodies are read by the door itself, and no further than it allows.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      '*',
      (_request: unknown, _payload: unknown, done: (error: null, body: undefined) => void) => done(null, undefined),
    )
    const handler = async (request: FastifyRequestLike, reply: FastifyReplyLike): Promise<unknown> => {
      const { raw, ip } = request
      const target = below(only ? '' : app.prefix, raw.url ?? '/') ?? '/-'
      const said = await answer({ raw, native: request, target, ip, parsed: request.body ?? undefined })
      const { status, fields } = said
      reply.code(status)
      for (let i = 0; i < fields.length; i += 2) reply.header(fields[i]!, fields[i + 1]!)
      return reply.send(bodyOf(said))
    }
    const method = only ?? app.supportedMethods.filter((one) => one !== 'TRACE')
    if (only === undefined && app.prefix !== '') app.route({ method, url: '', exposeHeadRoute: false, handler })
    app.route({ method, url: '/*', exposeHeadRoute: false, handler })
  }
}
