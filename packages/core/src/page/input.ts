import type { Reply } from '../exchange/exchange.ts'
import { problem } from '../exchange/problem.ts'
import { parseQuery, QueryParams } from '../exchange/reads/query-params.ts'
import type { RequestView } from '../exchange/request-view.ts'

/** What a client asked for cannot be: which parameter, and what it must be. Becomes an answer, and is never thrown on. */
export class InputError extends Error {
  readonly parameter: string

  /** @param rule - a clause that follows the parameter's name: `must be a whole number from 1` */
  constructor(parameter: string, rule: string) {
    super(`"${parameter}" ${rule}.`)
    this.parameter = parameter
  }
}

/** 400 with the parameter's name, for people in `detail` and for programs in `parameter` (RFC 9457). */
export function badInput({ message, parameter }: InputError): Reply {
  return problem({ type: 'about:blank', title: 'Bad Request', status: 400, detail: message, parameter })
}

/**
 * The parameters of a query, read strictly: each at most once. As the application's own parser has them, for the key of a
 * cache in front is made of the same; but as they were sent where a schema may have taken them away.
 */
export class QueryInput {
  readonly #get: (name: string) => unknown

  constructor(view: RequestView) {
    const params = view.queryParsed === 'validated' ? 'raw' : QueryParams.of(view)
    if (typeof params === 'object') this.#get = (name) => params.get(name)
    else {
      const raw = parseQuery(view.query)
      this.#get = (name) => raw[name]
    }
  }

  /** @throws InputError where it is given more than once, or is an object */
  text(name: string): string | undefined {
    const value = this.#get(name)
    if (value === undefined || typeof value === 'string') return value
    // A schema of Fastify's may have made a number of it.
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw new InputError(name, Array.isArray(value) ? 'may be given once' : 'must be a text')
  }

  /** @throws InputError unless it is a plain decimal number within the range, or absent */
  integer(name: string, least: number, most: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    // A bound that nobody set need not be told.
    const range = most > 1e12 ? `of ${least} or more` : `from ${least} to ${most}`
    throw new InputError(name, `must be a whole number ${range}`)
  }
}
