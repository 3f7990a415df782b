import { splitList, splitParameters, unquote, weightOf } from '@sluice/core'

/** What a scraper can be given. */
export type Format = 'text' | 'openmetrics'

interface Offer {
  readonly format: Format
  readonly type: string
  readonly subtype: string
  readonly version: string
}

const offers: readonly Offer[] = [
  { format: 'text', type: 'text', subtype: 'plain', version: '0.0.4' },
  { format: 'openmetrics', type: 'application', subtype: 'openmetrics-text', version: '1.0.0' },
]

interface Range {
  readonly type: string
  readonly subtype: string
  readonly version: string | undefined
  readonly q: number
}

/**
 * The format that a scraper likes best (RFC 9110 §12.5.1). Text where it likes both as much, has not said, or wants something
 * else: the field is then disregarded, as the RFC allows, for whoever looks with his own eyes.
 */
export function formatFor(accept: string | undefined): Format {
  const ranges = parseAccept(accept ?? '')
  const [text, openmetrics] = offers.map((offer) => quality(offer, ranges))
  return openmetrics! > text! ? 'openmetrics' : 'text'
}

/** Of the most specific range that is about the offer. */
function quality(offer: Offer, ranges: readonly Range[]): number {
  let best = -1
  let q = 0
  for (const range of ranges) {
    const rank = precedence(offer, range)
    if (rank > best) {
      best = rank
      q = range.q
    }
  }
  return q
}

/** How specific a range is about an offer; -1 where it is not about it. Another version is another format. */
function precedence({ type, subtype, version }: Offer, range: Range): number {
  if (range.version !== undefined && range.version !== version) return -1
  const own = range.version === undefined ? 0 : 1
  if (range.type === type && range.subtype === subtype) return 4 + own
  if (range.type === type && range.subtype === '*') return 2 + own
  return range.type === '*' && range.subtype === '*' ? own : -1
}

/** The media ranges of a field. What cannot be read is left out; parameters other than `version` and `q` say nothing here. */
function parseAccept(accept: string): Range[] {
  return splitList(accept).flatMap((member) => {
    const [range = '', ...parameters] = splitParameters(member)
    const [type, subtype, ...more] = range.toLowerCase().split('/')
    const q = Math.min(1, ...parameters.map(weightOf))
    if (!type || !subtype || more.length > 0 || Number.isNaN(q)) return []
    const version = parameters.find((one) => /^version=/i.test(one))?.slice('version='.length)
    // One that cannot be read is another version.
    return [{ type, subtype, version: version && (unquote(version) ?? version), q }]
  })
}
