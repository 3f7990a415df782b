import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { type Recipe, setEncoder } from '../../packages/core/src/exchange/encoder.ts'
import type { RequestView } from '../../packages/core/src/exchange/request-view.ts'
import { plain } from './fixtures.ts'

export interface CountingRecipe extends Recipe {
  readonly encoded: string[]
  readonly improved: string[]
  /** Whether encoding goes on beside the event loop. Default: false. */
  slowly: boolean
  /** Whether nothing shrinks. Default: false. */
  futile: boolean
}

/** A recipe whose forms can be told apart, and that counts what it has made. */
export function countingRecipe(hotAfter = Number.POSITIVE_INFINITY): CountingRecipe {
  const first = (bytes: Uint8Array) => String.fromCharCode(bytes[0]!)
  const recipe: CountingRecipe = {
    encoded: [],
    improved: [],
    slowly: false,
    futile: false,
    encode(bytes, coding) {
      recipe.encoded.push(coding)
      if (recipe.futile) return undefined
      const made = Buffer.from(`${coding}:${first(bytes)}`)
      return recipe.slowly ? new Promise((resolve) => setImmediate(() => resolve(made))) : made
    },
    async improve(bytes, coding) {
      recipe.improved.push(coding)
      return Buffer.from(first(bytes))
    },
    hotAfter,
    concurrency: 1,
    varies: () => true,
  }
  return recipe
}

/** The request of a client that accepts this coding and no other, behind a compressor. */
export function clientOf(coding: string, recipe: Recipe): RequestView {
  const view = { native: {} } as RequestView
  setEncoder(view, {
    coding,
    recipe,
    accepts: (one) => one === coding,
    wants: () => true,
    fickle: false,
  })
  return view
}

/** That request, looked up under the key `k`, where nothing varies. */
export const selected = (view: RequestView) => ({
  view,
  key: { key: 'k' },
  variantKey: 'k',
  selector: () => plain.select,
})

export const codingsOf = ({ forms }: CacheRecord): string[] => forms.map(({ coding }) => coding)
