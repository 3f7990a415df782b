/**
 * The same object, telling what is read of it by name, and that its names were listed. For what nobody has a reason to clone: no
 * `structuredClone` takes a proxy.
 */
export function eachRead<T extends object>(object: T, read: (name: string) => void, listed: () => void): T {
  return new Proxy(object, readHandler<T>(read, listed))
}

/** What such a proxy does, for those whose values are read in a way of their own. */
export function readHandler<T extends object>(read: (name: string) => void, listed: () => void) {
  const note = (name: string | symbol): void => {
    if (typeof name === 'string') read(name)
  }
  return {
    get(target, name, receiver) {
      note(name)
      return Reflect.get(target, name, receiver) as unknown
    },
    has(target, name) {
      note(name)
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor(target, name) {
      note(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys(target) {
      listed()
      return Reflect.ownKeys(target)
    },
  } satisfies ProxyHandler<T>
}
