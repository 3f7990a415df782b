import { type CompressOptions, optionError, type Pipeline, type Sluice } from '@sluice/core'
import type { RouteOptions } from 'fastify'
import type { Stage } from './passage.ts'

/** How responses are compressed: by the plugin's own option, and by what a route says. */
export class Compressing {
  readonly #compress: Sluice<Pipeline>['compress']
  readonly #plugins: Pipeline | undefined

  /** @param given - the plugin's option */
  constructor(compress: Sluice<Pipeline>['compress'], given: boolean | CompressOptions | undefined) {
    this.#compress = compress
    this.#plugins = this.#pipeline(given)
  }

  /** The stage of a route, to stand in front of all others: what its hooks answer is compressed too. */
  stages(route: RouteOptions): Stage[] {
    const own = (route.config?.sluice as { compress?: boolean | CompressOptions } | undefined)?.compress
    const pipeline =
      own === undefined ? this.#plugins : own === true ? (this.#plugins ?? this.#pipeline(own)) : this.#pipeline(own)
    return pipeline ? [{ pipeline, invalidates: false, route: route.url }] : []
  }

  #pipeline(given: boolean | CompressOptions | undefined): Pipeline | undefined {
    if (given === undefined || given === false) return undefined
    if (given !== true && (typeof given !== 'object' || given === null)) {
      throw optionError('compress', 'must be true, false or an object of options', given)
    }
    return this.#compress(given === true ? undefined : given)
  }
}
