import { SluiceError, show } from '../base/errors.ts'

// biome-ignore lint/suspicious/noExplicitAny: the library's own types of decorators take no narrower function
export type AnyFunction = (this: any, ...args: any[]) => any

/**
 * One function, three uses, told apart by what it is called with: around a function, over a method of a class (TC39
 * decorators), and over a method under `experimentalDecorators` (NestJS). What comes back has the type, `this`, name and
 * `length` of what went in.
 *
 * @example
 * ```ts
 * app.get('/cities', sluice.cached('5m')((req, res) => res.json(list())))
 *
 * class Cities {
 *   @sluice.cached('5m', { tags: ['cities'] })
 *   list(req: Request, res: Response) {}
 * }
 * ```
 */
export interface FunctionDecorator<Any extends AnyFunction = AnyFunction> {
  /** As a wrapper. */
  <Fn extends Any>(fn: Fn): Fn
  /** As a decorator of a method. */
  <This, Fn extends Any>(method: Fn, context: ClassMethodDecoratorContext<This, Fn>): Fn
  /** As a decorator of a field that holds a function: `@cached('5m') list = (req, res) => { … }`. */
  <This, Fn extends Any>(field: undefined, context: ClassFieldDecoratorContext<This, Fn>): (initial: Fn) => Fn
  /** As a decorator of a method under `experimentalDecorators`. */
  <Fn extends Any>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Fn>,
  ): TypedPropertyDescriptor<Fn>
}

/**
 * Makes a {@link FunctionDecorator} of a function that wraps.
 *
 * @param what - what the user wrote, for messages: `cached(...)`
 * @param wrap - answers what is called in place of the function it is given, and calls that with its own `this`
 */
export function makeDecorator(what: string, wrap: (fn: AnyFunction) => AnyFunction): FunctionDecorator {
  const around = (fn: unknown): AnyFunction => {
    if (typeof fn !== 'function') throw misused(what, show(fn))
    return disguise(wrap(fn as AnyFunction), fn as AnyFunction)
  }
  const decorate = (...given: readonly unknown[]): unknown => {
    const [first, second, third] = given
    if (isContext(second)) {
      if (second.kind === 'method') return around(first)
      // Of a field the function is not there yet: it is wrapped for each object, when it is set.
      if (second.kind === 'field') return around
      throw misused(what, `a ${second.kind}`)
    }
    // Before the plain function: under `experimentalDecorators` a static method comes with its class, a function too.
    if (typeof second === 'string' || typeof second === 'symbol') {
      const descriptor = (third ?? Object.getOwnPropertyDescriptor(first, second)) as PropertyDescriptor | undefined
      if (typeof descriptor?.value !== 'function') throw misused(what, `\`${String(second)}\`, which is no method`)
      return { ...descriptor, value: around(descriptor.value) }
    }
    return around(first)
  }
  return decorate as FunctionDecorator
}

interface Context {
  readonly kind: string
}

function isContext(value: unknown): value is Context {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Context>).kind === 'string'
}

function misused(what: string, received: string): SluiceError {
  return new SluiceError('ERR_SLUICE_OPTION', `\`${what}\` is for functions and methods; it was put on ${received}.`)
}

interface Metadata {
  getOwnMetadataKeys?(target: object): unknown[]
  getOwnMetadata?(key: unknown, target: object): unknown
  defineMetadata?(key: unknown, value: unknown, target: object): void
}

/**
 * Lets one function pass for another: its name, its `length` (by which Express tells error handlers), what was put on
 * it, and the metadata that NestJS keeps beside it, so that decorators stack in any order.
 */
export function disguise<Fn extends AnyFunction>(wrapped: AnyFunction, original: Fn): Fn {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(original))) {
    // What the wrapper has of its own it keeps: a `prototype`, the members of a memo.
    if (name === 'name' || name === 'length' || !Object.hasOwn(wrapped, name)) {
      Object.defineProperty(wrapped, name, { ...descriptor, configurable: true })
    }
  }
  const metadata = Reflect as Metadata
  for (const key of metadata.getOwnMetadataKeys?.(original) ?? []) {
    metadata.defineMetadata?.(key, metadata.getOwnMetadata?.(key, original), wrapped)
  }
  return wrapped as Fn
}
