/** Sluice for Koa 2 and 3. */
import {
  createSurface,
  optionError,
  type Page,
  type ResponseControl,
  type Sluice,
  type SluiceOptions,
} from '@sluice/core'
import { completed, type Front, type Warmer } from '@sluice/node'
import type Koa from 'koa'
import type { Context, Middleware } from 'koa'
import { mountKoa, wrapKoa } from './mount.ts'
import { addressOf, KoaView } from './request/koa-view.ts'

export * from '@sluice/core'
export {
  type Front,
  type FrontOptions,
  progressLine,
  type WarmCounts,
  type WarmOptions,
  type WarmProgress,
  type WarmSource,
  type WarmTarget,
  warm,
} from '@sluice/node'

declare module 'koa' {
  interface ExtendableContext {
    /** The page the client asked for. There where a `sluice.paginate()` is mounted in front. */
    page: Page
    /** What this handler can say of its own response. There where a `sluice.cache()` is mounted in front of it. */
    sluice: ResponseControl
  }
}

/** Sluice on Koa: its members answer middleware. */
export type KoaSluice = Sluice<Middleware> & Warmer & Front

/**
 * @throws SluiceError when an option is wrong
 * @example
 * ```ts
 * import Koa from 'koa'
 * import { createSluice } from '@sluice/koa'
 *
 * const app = new Koa()
 * const sluice = createSluice()
 * app.use(sluice.cache('5m', { tags: ['cities'] }))
 * app.use((ctx) => {
 *   ctx.body = [{ id: 1, name: 'Oslo' }]
 * })
 * app.listen(3000)
 * ```
 */
export function createSluice(options?: SluiceOptions): KoaSluice {
  return completed(
    createSurface(options, mountKoa, wrapKoa, (ctx: Context) => new KoaView(ctx)),
    (app, front) => {
      if ('callback' in app) return addressOf(app as Koa)
      // Where the door does not know whose word counts, it would take a proxy for the client.
      if (front?.limit !== undefined)
        throw optionError('front(app)', 'must be given the Koa application itself where it limits', app)
      return undefined
    },
  )
}
