const slotCount = 16_384

/** The slot a key is in, by the specification of Redis Cluster. */
export function slotOfKey(key: string): number {
  const from = key.indexOf('{')
  const to = from < 0 ? -1 : key.indexOf('}', from)
  return slotOf(to > from + 1 ? key.slice(from + 1, to) : key)
}

/** The slot a hash tag is in: CRC-16 of the XMODEM kind, of its bytes. */
export function slotOf(tag: string): number {
  let crc = 0
  for (let i = 0; i < tag.length; i++) {
    const code = tag.charCodeAt(i)
    // As good as never: names are mostly ASCII, whose characters are bytes.
    if (code > 127) return Buffer.from(tag).reduce(step, 0) % slotCount
    crc = step(crc, code)
  }
  return crc % slotCount
}

function step(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ remainders[(crc >>> 8) ^ byte]!
}

const remainders = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})
