/**
 * An object of the application's, noting by their paths the values that are read in it: a key function covers exactly
 * what it read (`@user.plan`), and not the rest of the user. What methods read is not seen, and covers nothing.
 *
 * @param name - of the object itself: noted where all of it is listed
 */
export function recorded(value: unknown, name: string, reads: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) {
    reads.add(name)
    return value
  }
  return new Proxy(value, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof key === 'symbol') return member
      if (typeof member === 'function') {
        return Object.hasOwn(target, key)
          ? member
          : (...args: unknown[]): unknown => Reflect.apply(member, target, args)
      }
      return isFixed(target, key) ? member : recordedMember(member, `${name}.${key}`, reads)
    },
    has(target, key) {
      if (typeof key === 'string' && !Reflect.has(target, key)) reads.add(`${name}.${key}`)
      return Reflect.has(target, key)
    },
    ownKeys(target) {
      reads.add(name)
      return Reflect.ownKeys(target)
    },
  })
}

/** Plain objects are looked into further; everything else counts with all that is in it. */
function recordedMember(member: unknown, name: string, reads: Set<string>): unknown {
  if (typeof member === 'object' && member !== null && isPlain(member)) return recorded(member, name, reads)
  reads.add(name)
  return member
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What a proxy must give out as it is. */
function isFixed(target: object, key: string): boolean {
  const own = Object.getOwnPropertyDescriptor(target, key)
  return own !== undefined && !own.configurable && own.writable === false
}
