import type { Reply } from '../../exchange/exchange.ts'
import { RefusalError } from '../../exchange/refusal-error.ts'
import type { Denial } from '../policy/options.ts'

/**
 * A refusal of a policy that says `refuse: 'error'`, as the application's error handling gets it: Express's `(error, req,
 * res, next)`, Koa's `catch`, Fastify's `setErrorHandler`. Its fields are on the response by then, and stay there whatever
 * is sent; `no-store` among them.
 *
 * @example
 * ```ts
 * app.use((error, req, res, next) => {
 *   if (!(error instanceof LimitError)) return next(error)
 *   res.status(error.status).render('slow-down', { seconds: Math.ceil(error.denial.retryAfterMs / 1000) })
 * })
 * ```
 */
export class LimitError extends RefusalError {
  /** Who refused, for how long, and why. Not enumerable: loggers print an error's members, and the request is among these. */
  declare readonly denial: Denial

  constructor(message: string, denial: Denial, reply: Pick<Reply, 'status' | 'fields'>) {
    super('ERR_SLUICE_LIMITED', message, reply)
    this.name = 'LimitError'
    Object.defineProperty(this, 'denial', { value: denial })
  }
}
