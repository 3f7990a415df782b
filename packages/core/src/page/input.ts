import type { Reply } from '../exchange/exchange.ts'
import { problem } from '../exchange/problem.ts'

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

/** The parameters of a raw query, read strictly: each at most once. */
export class QueryInput {
  readonly #params: URLSearchParams

  constructor(query: string) {
    this.#params = new URLSearchParams(query)
  }

  /** @throws InputError where it is given more than once */
  text(name: string): string | undefined {
    const all = this.#params.getAll(name)
    if (all.length > 1) throw new InputError(name, 'may be given once')
    return all[0]
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
