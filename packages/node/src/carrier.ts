const carried = Symbol('sluice.carried')

/**
 * Lays an object behind the prototype that all requests, or all responses, of an application share. What it has need not be put on each
 * of them.
 *
 * A framework that gives each request and response a prototype of the application's (Express) makes each property that is added
 * afterwards dear: V8 gives every such object a shape of its own, and each property is a microsecond, a kilobyte and a half, and work
 * for the garbage collector.
 *
 * @param prototype - of the outermost application: those of applications mounted in it inherit from it
 * @returns what lies there now, still empty
 */
export function layBehind(prototype: object): object {
  const carrier = Object.create(Object.getPrototypeOf(prototype) as object, { [carried]: { value: true } }) as object
  Object.setPrototypeOf(prototype, carrier)
  return carrier
}

/** Whether there is something behind the prototype of a request or a response. */
export const isCarried = (object: object): boolean => carried in object

/** Whether it is what an object has a name from, and not something in front of it. */
export function carries(object: object, name: string): boolean {
  for (let at: object | null = object; at; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.hasOwn(at, carried)) return true
    if (Object.hasOwn(at, name)) return false
  }
  return false
}
