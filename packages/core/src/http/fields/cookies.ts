/** A Cookie field with the named cookies alone; `undefined` where none of them is in it. */
export function onlyCookies(field: string | undefined, names: readonly string[]): string | undefined {
  if (field === undefined) return undefined
  const kept = field.split(';').filter((pair) => {
    const equals = pair.indexOf('=')
    return equals > 0 && names.includes(pair.slice(0, equals).trim())
  })
  return kept.length ? kept.map((pair) => pair.trim()).join('; ') : undefined
}
