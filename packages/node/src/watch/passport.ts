/** Methods that passport puts on requests. */
const methods: ReadonlySet<string> = new Set([
  'login',
  'logIn',
  'logout',
  'logOut',
  'isAuthenticated',
  'isUnauthenticated',
])

/**
 * Whether a value is a method of passport's: it asks the request it is called on, which is watched by itself. One of the
 * same name that somebody has written himself may know the answer.
 */
export function asksRequest(name: string, value: unknown): boolean {
  if (!methods.has(name) || typeof value !== 'function') return false
  // koa-passport binds them to a request of its own, which asks the context.
  if (value.name === 'bound ') return true
  let known = checked.get(value)
  if (known === undefined) {
    known = /\bthis\.(?:_userProperty|_sessionManager|isAuthenticated\()/.test(Function.prototype.toString.call(value))
    checked.set(value, known)
  }
  return known
}

const checked = new WeakMap<object, boolean>()
