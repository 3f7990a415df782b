/** A value, or a promise of it. A memory hit must never wait for a microtask, so promises appear only where needed. */
export type MaybePromise<T> = T | PromiseLike<T>

/** Whether `value` has to be waited for. Asked many times per request, mostly of what is no object at all. */
export function isPromise<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  if (typeof value === 'object') return value !== null && typeof (value as { then?: unknown }).then === 'function'
  return typeof value === 'function' && typeof (value as { then?: unknown }).then === 'function'
}

/** `next(value)`, at once where `value` is there at once. */
export function chain<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}
