import { type OperatorAccess, operatorAccess, optionError, SluiceError } from '@sluice/core'
import { type FastifyDoor, fastifyDoor } from '../hosts/fastify.ts'
import type { Host } from '../hosts/host.ts'
import { type KoaDoor, koaDoor } from '../hosts/koa.ts'
import { type NodeDoor, nodeDoor } from '../hosts/node.ts'
import type { DoorAnswer } from './answer.ts'
import { openDoor, type Ways } from './door.ts'
import type { DoorRules } from './options.ts'
import type { Operated } from './passage.ts'
import type { DoorRequest } from './request.ts'

/** A door: itself for Express and node:http, with forms for the others. */
export interface Door extends NodeDoor {
  /** For Koa: `app.use(admin(sluice, { authorize, path: '/ops' }).koa)`. Under koa-mount without a `path`. */
  readonly koa: KoaDoor
  /** For Fastify: `app.register(admin(app.sluice, { authorize }).fastify, { prefix: '/ops' })`. */
  readonly fastify: FastifyDoor
}

/**
 * What an operator's door needs of an instance.
 *
 * @param name - of the function that was given it
 * @throws SluiceError for what is no instance
 */
export function accessOf(name: string, sluice: Operated): OperatorAccess {
  const access = typeof sluice === 'object' && sluice !== null ? operatorAccess(sluice) : undefined
  if (!access)
    throw optionError(`${name}(sluice)`, 'must be given what `createSluice` answered, or `app.sluice`', sluice)
  return access
}

/** The door of an instance, below its mount and (for `PURGE` of any URL) everywhere. */
export function createHost(
  name: string,
  sluice: Operated,
  rules: DoorRules,
  ways: Ways,
  access = accessOf(name, sluice),
): { readonly host: Host; readonly every: Host } {
  const failed = (cause: unknown): void => {
    const why = cause instanceof Error ? cause.message : String(cause)
    access.report(new SluiceError('ERR_SLUICE_CALLBACK', `A request to the operator's door failed: ${why}`, { cause }))
  }
  const answer = (request: DoorRequest): Promise<DoorAnswer> =>
    openDoor({ sluice, access, rules, failed, ways }, request)
  return { host: { path: rules.path, answer }, every: { path: '', answer } }
}

export function doorOn(host: Host): Door {
  return Object.assign(nodeDoor(host), { koa: koaDoor(host), fastify: fastifyDoor(host) })
}
