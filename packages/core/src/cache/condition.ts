import { optionError } from '../base/errors.ts'
import { chain, isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { checkOptions, rule } from '../base/options.ts'
import { RequestContext } from '../exchange/context.ts'
import type { Opening, Pipeline } from '../exchange/exchange.ts'
import { problem } from '../exchange/problem.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { Fields } from '../http/fields/fields.ts'
import { formatHttpDate } from '../http/fields/http-date.ts'
import { isSafeMethod } from '../http/methods.ts'
import { evaluatePreconditions, isField304 } from '../http/selection/conditional.ts'
import { isEntityTag } from '../http/selection/etag.ts'
import type { CacheCore } from './cache-core.ts'

/** The state of a resource, cheaply told: a version column, an `updated_at`. At least one of the two. */
export interface ConditionOptions {
  /**
   * The entity tag the representation would have. Bare text is quoted; `W/"…"` marks a weak one. `undefined`: unknown,
   * or the resource does not exist.
   */
  etag?: ((c: RequestContext) => MaybePromise<string | undefined>) | undefined
  /** When it last changed. */
  lastModified?: ((c: RequestContext) => MaybePromise<Date | number | undefined>) | undefined
}

/**
 * `sluice.condition({ etag, lastModified })`: answers 304 and 412 before the handler runs (RFC 9110 §13.2), and puts the
 * validators on the response otherwise.
 */
export function conditionPipeline(core: CacheCore, options: ConditionOptions): Pipeline {
  checkOptions('condition', options, { etag: rule.function, lastModified: rule.function })
  if (!options.etag && !options.lastModified) {
    throw optionError('condition', 'must have `etag` or `lastModified`', options)
  }
  return {
    name: 'condition',
    open(view) {
      const c = new RequestContext(view)
      const etag = core.guarded('etag', () => options.etag?.(c))
      const modified = core.guarded('lastModified', () => options.lastModified?.(c))
      if (isPromise(etag) || isPromise(modified)) {
        return Promise.all([etag, modified]).then(([e, m]) => decide(view, e, m))
      }
      return chain(etag, (e) => decide(view, e, modified as Date | number | undefined))
    },
  }
}

function decide(view: RequestView, etag: string | undefined, modified: Date | number | undefined): Opening {
  const fields = Fields.from()
  const tag = etag === undefined ? undefined : quoted(etag)
  const time = modified === undefined ? Number.NaN : Number(modified)
  if (tag !== undefined) fields.set('ETag', tag)
  if (Number.isFinite(time)) fields.set('Last-Modified', formatHttpDate(time))
  const verdict = evaluatePreconditions(view.method, (name) => view.header(name), {
    etags: tag === undefined ? [] : [tag],
    lastModified: fields.get('last-modified'),
    dateMs: Date.now(),
  })
  // What an unsafe request leaves behind has other validators than what was there before it (RFC 9110 §8.8).
  if (verdict === 'send' && !isSafeMethod(view.method)) return { kind: 'proceed' }
  if (verdict === 'send') return { kind: 'proceed', fields: [...fields].flat() }
  if (verdict === 'failed') return { kind: 'reply', reply: problem({ status: 412, title: 'Precondition Failed' }) }
  const kept = [...fields].filter(([name]) => isField304(name)).flat()
  return { kind: 'reply', reply: { status: 304, fields: kept, body: undefined } }
}

/** An entity tag, of text that may be one already. Characters a tag cannot hold are percent-encoded. */
function quoted(text: string): string {
  const value = String(text)
  return isEntityTag(value) ? value : `"${encodeURIComponent(value)}"`
}
