import { randomBytes } from 'node:crypto'
import type { FieldsOptions } from './fields/fields-options.ts'
import { FieldsPipeline } from './fields/fields-pipeline.ts'
import type { PaginateOptions } from './options.ts'
import type { Page } from './page.ts'
import { PaginatePipeline } from './paginate-pipeline.ts'

/** Pagination and payload of one instance. */
export class Pages {
  #secret: string | Uint8Array | undefined

  /** @param secret - what cursors are signed with; random where there is none, so that only this instance knows them */
  constructor(secret: string | undefined) {
    this.#secret = secret
  }

  paginate(options?: PaginateOptions): PaginatePipeline {
    return new PaginatePipeline(options, () => (this.#secret ??= randomBytes(32)))
  }

  fields(options?: FieldsOptions): FieldsPipeline {
    return new FieldsPipeline(options)
  }
}

/**
 * The page a request asked for, where the type of the request does not say it (node:http).
 *
 * @param native - node's or Express's `req`, Koa's `ctx`, Fastify's `request`
 * @throws TypeError where there is no `sluice.paginate()` in front
 */
export function pageOf(native: object): Page {
  const { page } = native as { page?: Page }
  if (!page) throw new TypeError('This request has no page: mount sluice.paginate() in front of the handler.')
  return page
}
