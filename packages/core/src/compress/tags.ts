import { codedTag, parseEntityTags } from '../http/selection/etag.ts'

/**
 * Request fields in which a client gives back the tags it was sent. Those of encoded forms are ours: the handler knows
 * the response by its own tag only, and must find it. Not If-Range: a range of one form does not fit another.
 */
const tagFields = ['if-none-match', 'if-match'] as const

/**
 * The fields as the handler is to see them: to each tag of an encoded form the tag it was made of is added.
 * `undefined` where there is none of these, which is nearly always.
 */
export function decodedTagFields(
  header: (name: string) => string | undefined,
  codings: readonly string[],
): Record<string, string> | undefined {
  let changed: Record<string, string> | undefined
  for (const name of tagFields) {
    const value = header(name)
    if (!value?.includes(';')) continue
    const plain = plainTags(value, codings)
    if (plain.length) changed = { ...changed, [name]: `${value}, ${plain.join(', ')}` }
  }
  return changed
}

function plainTags(value: string, codings: readonly string[]): string[] {
  const tags = parseEntityTags(value)
  if (tags === '*') return []
  return tags.flatMap((tag) => {
    const [, plain, coding] = /^("[^"]*);([a-z]+)(?:-best)?"$/.exec(tag) ?? []
    return coding !== undefined && codings.includes(coding) ? [`${plain}"`] : []
  })
}

/** The tag a 304 confirms: that of the form the client has, if it has one of ours. */
export function confirmedTag(tag: string, ifNoneMatch: string | undefined, codings: readonly string[]): string {
  const tags = parseEntityTags(ifNoneMatch)
  if (tags === '*' || tags.includes(tag)) return tag
  const coding = codings.find((name) => tags.includes(codedTag(tag, name)))
  return coding === undefined ? tag : codedTag(tag, coding)
}
