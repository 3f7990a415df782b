import { checkOptions } from '@sluice/core'
import { type FastifyDoor, fastifyDoor } from '../hosts/fastify.ts'
import { type KoaDoor, koaDoor } from '../hosts/koa.ts'
import { type NodeDoor, nodeDoor } from '../hosts/node.ts'
import { createHost, type Door, doorOn } from './create.ts'
import { listed, operatorWays } from './door.ts'
import { type AdminOptions, doorSchema, resolveRules } from './options.ts'
import type { Operated } from './passage.ts'

/** An operator's door: itself for Express and node:http, with forms for the others. */
export interface AdminDoor extends Door {
  /**
   * Takes `PURGE <url>` for any URL of the application, and lets everything else go on: `app.use(door.purge)`, on Koa
   * `app.use(door.purge.koa)`, on Fastify `app.register(door.purge.fastify)`. The same `authorize`, the same `actions`.
   */
  readonly purge: NodeDoor & { readonly koa: KoaDoor; readonly fastify: FastifyDoor }
}

/**
 * An operator's door to an instance: purge, why, stats, limits and bans over HTTP. Closed unless `authorize` opens it. Mount it in
 * front of the application's own limits and body parsers.
 *
 * @param sluice - what `createSluice` answered; on Fastify `app.sluice`
 * @throws SluiceError `ERR_SLUICE_OPTION` when an option is wrong, and for no `authorize` outside development
 * @example
 * ```ts
 * import { admin, bearer } from '@sluice/admin'
 *
 * app.use('/ops', admin(sluice, { authorize: bearer(process.env.OPS_TOKEN, 'deploy') }))
 * // curl -X POST localhost:3000/ops/purge -H "authorization: Bearer $OPS_TOKEN" -H 'content-type: application/json' -d '{"tags":["cities"]}'
 * ```
 */
// biome-ignore lint/suspicious/noExplicitAny: the request is Express's, Koa's, Fastify's or node's, as the application has it.
export function admin(sluice: Operated, options: AdminOptions<any> = {}): AdminDoor {
  const given = options as AdminOptions<never>
  checkOptions<AdminOptions<never>>('admin', given, doorSchema)
  const rules = resolveRules('admin', given, true)
  const { host, every } = createHost('admin', sluice, rules, new Map([['/', listed(operatorWays)], ...operatorWays]))
  const purge = Object.assign(nodeDoor(every, 'PURGE'), {
    koa: koaDoor(every, 'PURGE'),
    fastify: fastifyDoor(every, 'PURGE'),
  })
  return Object.assign(doorOn(host), { purge })
}
