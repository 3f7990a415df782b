/** An operator's door to Sluice: purge, why, stats, limits and bans over HTTP, and a command for them. */
export { type AdminDoor, admin } from './door/admin.ts'
export { bearer } from './door/admit.ts'
export type { Action, AdminOptions } from './door/options.ts'
export type { Operated } from './door/passage.ts'
export type { FastifyDoor } from './hosts/fastify.ts'
export type { KoaContext, KoaDoor } from './hosts/koa.ts'
export type { NodeDoor } from './hosts/node.ts'
