/**
 * The locations in a sitemap or an index of some (sitemaps.org). Searched for, and not matched by a pattern: whatever
 * stands there instead (an error page, half a file) takes one pass and gives what there is.
 */
export function locationsIn(xml: string): string[] {
  const locations: string[] = []
  for (let at = xml.indexOf(open); at >= 0; ) {
    const from = at + open.length
    const to = xml.indexOf(close, from)
    if (to < 0) break
    // Of one that was not closed, what is behind it counts.
    const last = xml.lastIndexOf(open, to)
    const url = unescapeXml(bare(xml.slice(Math.max(last + open.length, from), to)))
    if (url !== '') locations.push(url)
    at = xml.indexOf(open, to)
  }
  return locations
}

const open = '<loc>'
const close = '</loc>'

function bare(text: string): string {
  const trimmed = text.trim()
  const isCdata = trimmed.startsWith('<![CDATA[') && trimmed.endsWith(']]>')
  return isCdata ? trimmed.slice('<![CDATA['.length, -']]>'.length).trim() : trimmed
}

export const isIndex = (xml: string): boolean => /<sitemapindex[\s>]/.test(xml)

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** What names no character stays as it is. */
function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{1,10}));/gi, (whole, decimal, hex, name) => {
    if (name) return Object.hasOwn(entities, name) ? entities[name]! : whole
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
