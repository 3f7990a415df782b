import type { CityChange, Search } from '../data/cities.ts'
import { Problem } from './problem.ts'

/** Keys and values as a client sent them: nothing is known about them yet. */
type Untrusted = Readonly<Record<string, unknown>>

const maxText = 100
const maxInteger = 2 ** 31 - 1
const controlCharacters = /\p{Cc}/u

/** The `id` of a path. @throws Problem 404 where it cannot be one, as there is no such city */
export function readId({ id }: Untrusted): number {
  const text = String(id)
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > maxInteger) throw noSuchCity(text)
  return number
}

/** What was found, or else 404. */
export function found<T>(value: T | undefined, id: number): T {
  if (value === undefined) throw noSuchCity(String(id))
  return value
}

function noSuchCity(id: string): Problem {
  return new Problem(404, `No city has the id "${id}".`)
}

/** The search that a query string asks for. @throws Problem 400 */
export function readSearch(query: Untrusted): Search {
  const country = readText(query, 'country')?.toUpperCase()
  if (country !== undefined && !/^[A-Z]{2}$/.test(country)) {
    throw new Problem(400, '"country" must be the two letters of a country, such as FR.')
  }
  return { country, q: readText(query, 'q') }
}

/** Whether each look-up of `GET /countries/largest` is to be one by itself. @throws Problem 400 */
export function readLookup(query: Untrusted): 'batched' | 'single' {
  const lookup = readText(query, 'lookup') ?? 'batched'
  if (lookup !== 'batched' && lookup !== 'single') throw new Problem(400, '"lookup" must be batched or single.')
  return lookup
}

function readText(query: Untrusted, name: string): string | undefined {
  const value = query[name]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw new Problem(400, `"${name}" may be given once.`)
  if (value.length > maxText || controlCharacters.test(value)) {
    throw new Problem(400, `"${name}" must be at most ${maxText} printable characters.`)
  }
  return value
}

/** The change that a JSON body asks for. @throws Problem 400 */
export function readChange(body: unknown): CityChange {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem(400, 'The body must be a JSON object, such as {"population": 12345}.')
  }
  const { name, population, ...others } = body as Untrusted
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) throw new Problem(400, `"${unknown}" cannot be changed: only "name" and "population" can.`)
  if (name === undefined && population === undefined) {
    throw new Problem(400, 'The body must have a "name", a "population", or both.')
  }
  return {
    ...(name !== undefined && { name: readName(name) }),
    ...(population !== undefined && { population: readPopulation(population) }),
  }
}

function readName(value: unknown): string {
  const name = typeof value === 'string' ? value.trim() : ''
  if (name === '' || name.length > maxText || controlCharacters.test(name)) {
    throw new Problem(400, `"name" must be 1 to ${maxText} printable characters.`)
  }
  return name
}

function readPopulation(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maxInteger) {
    throw new Problem(400, `"population" must be a whole number from 0 to ${maxInteger}.`)
  }
  return value
}
