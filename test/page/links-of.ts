/** The references of a `Link` field by their relation, and nothing else in it. */
export function links(field: string | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const member of field?.split(', ') ?? []) {
    const [, href, rel] = /^<([^<>]*)>; rel="(\w+)"$/.exec(member) ?? []
    if (href === undefined) throw new Error(`not a link: ${member}`)
    found[rel!] = href
  }
  return found
}
