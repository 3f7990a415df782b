import ipaddr from 'ipaddr.js'
import { optionError } from '../../base/errors.ts'
import { clientAddress } from './client-address.ts'

/** Addresses that can be asked whether one is among them. It may be changed at any time, and be shared by policies. */
export interface AddressList {
  /**
   * @param ranges - addresses, or ranges in CIDR notation: `'192.0.2.7'`, `'10.0.0.0/8'`, `'2001:db8::/32'`
   * @throws SluiceError `ERR_SLUICE_OPTION` for what is neither
   */
  add(...ranges: readonly string[]): void
  /** Takes ranges out that were added, as they were added. */
  remove(...ranges: readonly string[]): void
  /** These, and no others. */
  replace(ranges: readonly string[]): void
  has(address: string | undefined): boolean
  readonly size: number
}

/** The leading bits that all addresses of a range have. */
interface Range {
  readonly bits: string
  readonly family: 4 | 6
}

/**
 * A list of addresses and ranges, for `allow` and `deny` of limits.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` for what is neither an address nor a range in CIDR notation
 * @example
 * ```ts
 * const office = addressList('192.0.2.0/24', '2001:db8::/32')
 * createSluice({ limits: { ip: { rate: '300/min', allow: office } } })
 * office.add('198.51.100.7')
 * ```
 */
export function addressList(...ranges: readonly string[]): AddressList {
  const list = new Ranges()
  list.add(...ranges)
  return list
}

/** The ranges by family and length: a look-up takes as many steps as there are different lengths, however many ranges. */
class Ranges implements AddressList {
  #sets = new Map<string, Set<string>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(...ranges: readonly string[]): void {
    // All of them or none.
    for (const { family, bits } of ranges.map(rangeOf)) {
      const name = `${family}/${bits.length}`
      const set = this.#sets.get(name) ?? new Set()
      if (!set.has(bits)) this.#size++
      this.#sets.set(name, set.add(bits))
    }
  }

  remove(...ranges: readonly string[]): void {
    for (const { family, bits } of ranges.map(rangeOf)) {
      const name = `${family}/${bits.length}`
      const set = this.#sets.get(name)
      if (!set?.delete(bits)) continue
      this.#size--
      if (set.size === 0) this.#sets.delete(name)
    }
  }

  replace(ranges: readonly string[]): void {
    const next = new Ranges()
    next.add(...ranges)
    this.#sets = next.#sets
    this.#size = next.#size
  }

  has(address: string | undefined): boolean {
    if (this.#size === 0) return false
    // In its canonical form: IPv4 in IPv6 is IPv4, without port and zone.
    const canonical = clientAddress(address, { ipv6Prefix: 128 })
    if (canonical === undefined) return false
    const parsed = ipaddr.parse(canonical)
    const family = parsed.kind() === 'ipv4' ? 4 : 6
    const bits = bitsOf(parsed.toByteArray())
    for (const [name, set] of this.#sets) {
      const length = Number(name.slice(2))
      if (name.startsWith(`${family}/`) && set.has(bits.slice(0, length))) return true
    }
    return false
  }
}

const bitsOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('')

function rangeOf(text: string): Range {
  const [, address, length] = /^\s*([^/\s]+)(?:\/(\d{1,3}))?\s*$/.exec(String(text)) ?? []
  const valid = address !== undefined && (ipaddr.IPv6.isValid(address) || ipaddr.IPv4.isValidFourPartDecimal(address))
  const parsed = valid ? ipaddr.parse(address) : undefined
  const most = parsed?.kind() === 'ipv4' ? 32 : 128
  const prefix = length === undefined ? most : Number(length)
  if (!parsed || prefix > most) {
    throw optionError('addressList(...)', "must be an address or a range such as '10.0.0.0/8' or '2001:db8::/32'", text)
  }
  const bytes = parsed.toByteArray()
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && prefix >= 96) {
    return { family: 4, bits: bitsOf(bytes.slice(12)).slice(0, prefix - 96) }
  }
  return { family: parsed.kind() === 'ipv4' ? 4 : 6, bits: bitsOf(bytes).slice(0, prefix) }
}
