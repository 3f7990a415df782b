import { type CompressOptions, type DecompressOptions, optionError, type Pipeline, type Sluice } from '@sluice/core'
import type { RouteOptions } from 'fastify'
import type { Stage } from './exchanges.ts'

/** What the plugin says for all routes, and a route for itself. */
export interface CodingOptions {
  /**
   * Compresses responses: `true`, or how. What a route says goes before what the plugin says, which is for the routes
   * declared after it. Default `false`.
   */
  compress?: boolean | CompressOptions | undefined
  /**
   * Decodes request bodies that come with Content-Encoding: `true`, or how. What a route says goes before what the plugin
   * says. Default `false`.
   */
  decompress?: boolean | DecompressOptions | undefined
}

/** The stages that encode and decode bodies. They stand in front of all others: what hooks answer is compressed too. */
export class CodingStages {
  readonly #compress: (route: RouteOptions) => Pipeline | undefined
  readonly #decompress: (route: RouteOptions) => Pipeline | undefined

  /** @param plugins - the plugin's own options */
  constructor(surface: Pick<Sluice<Pipeline>, 'compress' | 'decompress'>, plugins: CodingOptions) {
    this.#compress = chooser('compress', plugins.compress, surface.compress)
    this.#decompress = chooser('decompress', plugins.decompress, surface.decompress)
  }

  of(route: RouteOptions): Stage[] {
    const pipelines = [this.#compress(route), this.#decompress(route)]
    return pipelines.flatMap((pipeline) => (pipeline ? [{ pipeline, invalidates: false, route: route.url }] : []))
  }
}

function chooser<Options extends object>(
  name: keyof CodingOptions,
  plugins: boolean | Options | undefined,
  make: (options?: Options) => Pipeline,
): (route: RouteOptions) => Pipeline | undefined {
  const pipelineOf = (given: boolean | Options | undefined): Pipeline | undefined => {
    if (given === undefined || given === false) return undefined
    if (given === true) return make()
    if (typeof given !== 'object' || given === null) {
      throw optionError(name, 'must be true, false or an object of options', given)
    }
    return make(given)
  }
  const shared = pipelineOf(plugins)
  return (route) => {
    const own = (route.config?.sluice as CodingOptions | undefined)?.[name] as boolean | Options | undefined
    if (own === undefined) return shared
    return own === true && shared ? shared : pipelineOf(own)
  }
}
