import ipaddr from 'ipaddr.js'

export interface ClientAddressOptions {
  /**
   * How many leading bits of an IPv6 address tell clients apart. A subscriber is given at least a /64 and chooses the
   * rest at will, so counting whole addresses would be counting nobody. 128 counts them anyway; 56 or 48 groups the
   * larger prefixes providers give out. Default 64.
   */
  readonly ipv6Prefix?: number | undefined
}

/** Longer than any notation of an address with brackets, zone and port. */
const longest = 128

/**
 * The canonical form of a client's address: dotted decimal for IPv4, `2001:db8:1:2::/64` for IPv6. `undefined` where it
 * is not an address.
 *
 * One client must not have two names, so IPv4 inside IPv6 is the IPv4 address, however it is written: mapped
 * (`::ffff:0:0/96`, RFC 4291 §2.5.5.2), translated (`::ffff:0:0:0/96`, RFC 7915), compatible (`::/96`, RFC 4291
 * §2.5.5.1) and NAT64 (`64:ff9b::/96`, RFC 6052). Ports, brackets and zone ids are dropped. IPv4 in octal, hexadecimal
 * or with fewer than four parts is not taken: no server reports it, and two readers would read it differently.
 *
 * @example
 * ```ts
 * clientAddress('::ffff:102:304')            // '1.2.3.4'
 * clientAddress('[2001:db8::1%eth0]:443')    // '2001:db8::/64'
 * clientAddress('localhost')                 // undefined
 * ```
 */
export function clientAddress(address: string | undefined, options?: ClientAddressOptions): string | undefined {
  if (typeof address !== 'string' || address.length > longest) return undefined
  // What a socket reports nearly always: no need to take it apart.
  if (isDottedDecimal(address)) return address
  const bare = withoutDecoration(address.trim())
  if (isDottedDecimal(bare)) return bare
  const parts = ipv6Parts(bare)
  if (!parts) return undefined
  const [high, low] = [parts[6]!, parts[7]!]
  if (embedsIpv4(parts)) return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  return group(parts, options?.ipv6Prefix ?? 64)
}

/** Four parts of 0 to 255, without leading zeros. By hand: it is asked at every request, and a pattern takes 240 ns. */
function isDottedDecimal(text: string): boolean {
  let parts = 1
  let digits = 0
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x2e) {
      if (digits === 0 || ++parts > 4) return false
      digits = 0
      value = 0
      continue
    }
    if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return false
    value = value * 10 + code - 0x30
    if (++digits > 3 || value > 255) return false
  }
  return parts === 4 && digits > 0
}

/** Without quotes, brackets, port and zone id. */
function withoutDecoration(text: string): string {
  const quoted = /^"(.*)"$/.exec(text)
  const inner = quoted ? quoted[1]! : text
  const match = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(inner) ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(inner)
  const bare = match ? match[1]! : inner
  // RFC 4007 §11: the zone is the reader's own affair and says nothing about the client.
  const zone = bare.indexOf('%')
  return zone > 0 && zone < bare.length - 1 && bare.includes(':') ? bare.slice(0, zone) : bare
}

function ipv6Parts(text: string): number[] | undefined {
  if (!/^[0-9a-f:]+(?:\d+\.\d+\.\d+\.\d+)?$/i.test(text)) return undefined
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.') && !isDottedDecimal(tail)) return undefined
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).parts : undefined
}

function embedsIpv4(parts: readonly number[]): boolean {
  const [a, b, c, d, e, f, high] = parts as [number, number, number, number, number, number, number]
  if (a === 0x64 && b === 0xff9b) return (c | d | e | f) === 0
  if ((a | b | c | d) !== 0) return false
  if (e === 0) return f === 0xffff || (f === 0 && high > 0xff)
  return e === 0xffff && f === 0
}

function group(parts: readonly number[], prefix: number): string {
  if (prefix >= 128) return new ipaddr.IPv6([...parts]).toRFC5952String()
  const kept = parts.map((part, i) => part & (0xffff << Math.min(16, Math.max(0, 16 * (i + 1) - prefix))) & 0xffff)
  return `${new ipaddr.IPv6(kept).toRFC5952String()}/${prefix}`
}
