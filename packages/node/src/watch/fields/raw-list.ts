import { inspect } from 'node:util'
import type { RequestWatch } from '../request-watch.ts'

/** What `util.inspect` looks at in place of a proxy: it shows what the proxy shows, and so is noticed. */
const shown = Object.create(Array.prototype, {
  [inspect.custom]: {
    value(this: string[]) {
      return Array.from(this)
    },
  },
}) as object

/**
 * The same list, telling that it was read as soon as anything of it is. A value in the place of the request's own, and not an
 * accessor: with that the request would be slow for everybody who has to do with it.
 */
export function readList(list: readonly string[], watch: RequestWatch): string[] {
  return new Proxy(Object.setPrototypeOf(list.slice(), shown) as string[], new Told(watch))
}

class Told implements ProxyHandler<string[]> {
  readonly #watch: RequestWatch

  constructor(watch: RequestWatch) {
    this.#watch = watch
  }

  get(list: string[], key: string | symbol, receiver: unknown): unknown {
    this.#watch.field('*')
    return Reflect.get(list, key, receiver) as unknown
  }

  has(list: string[], key: string | symbol): boolean {
    this.#watch.field('*')
    return Reflect.has(list, key)
  }

  ownKeys(list: string[]): (string | symbol)[] {
    this.#watch.field('*')
    return Reflect.ownKeys(list)
  }

  getOwnPropertyDescriptor(list: string[], key: string | symbol): PropertyDescriptor | undefined {
    this.#watch.field('*')
    return Reflect.getOwnPropertyDescriptor(list, key)
  }

  getPrototypeOf(): object {
    return Array.prototype
  }
}
