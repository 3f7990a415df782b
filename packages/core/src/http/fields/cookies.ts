/**
 * The value of one cookie in a Cookie field (RFC 6265 §4.2.1), as it was sent: not decoded, quotes and all. Of several
 * with one name it is the first, the more specific one (§5.4). `undefined` where there is none.
 */
export function cookieIn(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

/** A Cookie field with the named cookies alone; `undefined` where none of them is in it. */
export function onlyCookies(field: string | undefined, names: readonly string[]): string | undefined {
  if (field === undefined) return undefined
  const kept = field.split(';').filter((pair) => {
    const equals = pair.indexOf('=')
    return equals > 0 && names.includes(pair.slice(0, equals).trim())
  })
  return kept.length ? kept.map((pair) => pair.trim()).join('; ') : undefined
}
