import jsonMask from 'json-mask'

/** A selection of members, compiled by json-mask. */
export type Mask = Readonly<
  Record<string, { readonly isWildcard?: boolean | undefined; readonly properties?: Mask | undefined }>
>

/**
 * Checks a selection and compiles it: names with commas between them, `country(code,name)` or `country/code` for what
 * lies deeper, `*` for every member, `\` before a character that means itself.
 *
 * json-mask reads whatever it is given (`a(b` selects something), so what is no selection is found here.
 *
 * @returns a text that says what is wrong with it, where something is
 */
export function compileMask(text: string, maxDepth: number): Mask | string {
  let depth = 0
  let deepest = 0
  let sum = 0
  /** How deep the slashes since the last comma or parenthesis lead, for each open parenthesis. */
  const slashes = [0]
  let expectsName = true
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!
    if (character === '(' || character === '/') {
      if (expectsName) return `must have a name in front of "${character}" (character ${i + 1})`
      slashes[depth]!++
      sum++
      if (character === '(') {
        depth++
        slashes.push(0)
      }
      expectsName = true
    } else if (character === ',' || character === ')') {
      if (expectsName) return `must have a name in front of "${character}" (character ${i + 1})`
      if (character === ')') {
        if (depth === 0) return `has a ")" too many (character ${i + 1})`
        sum -= slashes.pop()!
        depth--
        // What follows a closing parenthesis is a comma, another one, or nothing.
        const next = text[i + 1]
        if (next !== undefined && next !== ',' && next !== ')') return `must have a "," behind ")" (character ${i + 2})`
      } else {
        sum -= slashes[depth]!
        slashes[depth] = 0
        expectsName = true
      }
    } else {
      if (character === '\\' && text[++i] === undefined) return 'must have a character behind its last "\\"'
      if (character < ' ' || character === '\x7f') return 'must be printable'
      expectsName = false
    }
    deepest = Math.max(deepest, 1 + sum)
    if (deepest > maxDepth) return `must be at most ${maxDepth} levels deep`
  }
  if (expectsName) return text === '' ? 'must name at least one field' : 'must end with a name'
  if (depth > 0) return 'has a "(" that is not closed'
  // json-mask keeps names in plain objects, where this one is lost and all of what it stands in is selected.
  if (text.replaceAll('\\', '').includes('__proto__')) return 'must not name __proto__'
  return jsonMask.compile(text) as Mask
}

/**
 * What a mask selects of a JSON value. json-mask's own filter takes inherited members for data and throws on `name(*)`
 * where the name is a text; this one selects members of objects, and members of the objects in arrays.
 */
export function applyMask(value: unknown, mask: Mask): unknown {
  if (Array.isArray(value)) return value.map((item) => applyMask(item, mask)).filter((item) => item !== undefined)
  // Something deeper was asked of a text or a number: it has none.
  if (typeof value !== 'object' || value === null) return value === null ? null : undefined
  // No prototype: a member named `__proto__`, which `*` selects, is one like any other.
  const selected: Record<string, unknown> = Object.create(null)
  for (const [name, { isWildcard, properties }] of Object.entries(mask)) {
    for (const key of isWildcard ? Object.keys(value) : [name]) {
      if (!Object.hasOwn(value, key)) continue
      const member = (value as Record<string, unknown>)[key]
      const kept = properties ? applyMask(member, properties) : member
      if (kept !== undefined) selected[key] = kept
    }
  }
  return selected
}
