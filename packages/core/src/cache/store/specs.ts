import type { VariantSpec } from './store.ts'

/** The spec of a key after one more response: a name or coding once seen stays. `undefined` where nothing varies. */
export function joinSpecs(held: VariantSpec | undefined, added: VariantSpec): VariantSpec | undefined {
  if (held === undefined) {
    if (added.fields.length === 0 && added.codings.length === 0) return undefined
    return { fields: [...new Set(added.fields)].sort(), codings: [...new Set(added.codings)] }
  }
  const isNew = (known: readonly string[]) => (name: string) => !known.includes(name)
  const fields = added.fields.filter(isNew(held.fields))
  const codings = added.codings.filter(isNew(held.codings))
  if (fields.length === 0 && codings.length === 0) return held
  return {
    fields: [...new Set([...held.fields, ...fields])].sort(),
    codings: [...new Set([...held.codings, ...codings])],
  }
}
