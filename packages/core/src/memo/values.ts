import { deserialize, serialize } from 'node:v8'

/** Turns values into bytes and back, in place of structured clone. */
export interface MemoSerializer<Value> {
  serialize(value: Value): Uint8Array | string
  deserialize(bytes: Buffer): Value
}

/**
 * A value as it is kept, so that each caller is given one of its own: what one does to it, no other sees.
 *
 * `json`: a tree that JSON gives back as it was; parsing its text takes a third of the time of a structured clone. `v8`:
 * everything else that can be cloned. `own`: whatever the application's serializer made. `same`: handed out as it is.
 */
export type Held =
  | { readonly kind: 'same'; readonly value: unknown; readonly bytes: number }
  | { readonly kind: 'json'; readonly text: string; readonly bytes: number }
  | { readonly kind: 'v8' | 'own'; readonly data: Buffer; readonly bytes: number }
  | { readonly kind: 'error'; readonly error: unknown; readonly bytes: number }

export interface Codec {
  /** @throws for a value that cannot be kept */
  hold(value: unknown): Held
  reveal(held: Held): unknown
}

export function makeCodec(clone: boolean, serializer: MemoSerializer<never> | undefined): Codec {
  const own = serializer as MemoSerializer<unknown> | undefined
  return {
    hold(value) {
      if (own) {
        const data = toBuffer(own.serialize(value))
        return { kind: 'own', data, bytes: data.byteLength + overheadPerBuffer }
      }
      if (!clone) return { kind: 'same', value, bytes: roughBytes(value) }
      if (typeof value === 'string') return { kind: 'same', value, bytes: value.length * 2 }
      if ((typeof value !== 'object' || value === null) && typeof value !== 'function' && typeof value !== 'symbol') {
        return { kind: 'same', value, bytes: 16 }
      }
      if (isJsonTree(value, new Set())) {
        const text = JSON.stringify(value)
        return { kind: 'json', text, bytes: text.length * 2 }
      }
      const data = serialize(value)
      return { kind: 'v8', data, bytes: data.byteLength + overheadPerBuffer }
    },
    reveal(held) {
      switch (held.kind) {
        case 'same':
          return held.value
        case 'json':
          return JSON.parse(held.text)
        case 'v8':
          return deserialize(held.data)
        case 'own':
          // A view would hand the kept bytes out: a serializer may answer a part of what it was given.
          return own!.deserialize(Buffer.from(held.data))
        case 'error':
          throw held.error
      }
    },
  }
}

/**
 * Whether JSON gives back exactly this: no `undefined`, no `-0`, no holes, nothing with a class or a `toJSON`, nothing
 * that is there twice, no key that a parser takes for something else.
 */
function isJsonTree(value: unknown, seen: Set<object>): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object' || seen.has(value) || seen.size > mostObjects) return false
  seen.add(value)
  const prototype = Object.getPrototypeOf(value) as object | null
  if (Object.getOwnPropertySymbols(value).length > 0) return false
  if (Array.isArray(value)) {
    if (Object.keys(value).length !== value.length || nameOf(prototype) !== 'Array') return false
    return value.every((item) => isJsonTree(item, seen))
  }
  // Clones have an ordinary prototype whatever the original's was.
  if (prototype !== null && (Object.getPrototypeOf(prototype) !== null || 'toJSON' in value)) return false
  if (Object.prototype.toString.call(value) !== '[object Object]') return false
  const keys = Object.keys(value)
  if (keys.includes('__proto__') || keys.length !== Object.getOwnPropertyNames(value).length) return false
  return keys.every((key) => isJsonTree((value as Record<string, unknown>)[key], seen))
}

/** What a buffer takes beside its bytes; measured, rounded up. */
const overheadPerBuffer = 120

/** Past this the check costs more than it saves. */
const mostObjects = 10_000

function nameOf(prototype: object | null): string | undefined {
  return (prototype as { constructor?: { name?: string } } | null)?.constructor?.name
}

function toBuffer(bytes: Uint8Array | string): Buffer {
  // Copied: a serializer may use its buffer again.
  return typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
}

/** What a value takes that is kept as it is: about twice its serialised form. */
function roughBytes(value: unknown): number {
  if (typeof value === 'string') return value.length * 2
  if (typeof value !== 'object' || value === null) return 16
  try {
    return serialize(value).byteLength * 2
  } catch {
    return 1024
  }
}
