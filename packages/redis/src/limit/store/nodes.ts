import type { Charge } from '@sluice/core'
import type { RedisClient } from '../../connection/client.ts'
import { subjectOf } from './keys.ts'

/** What a client of a Cluster knows of it: for each slot the addresses of its nodes, the master's first. */
interface Topology {
  readonly isCluster?: boolean
  readonly slots?: readonly (readonly string[] | undefined)[]
}

const slotCount = 16_384

/**
 * The nodes that charges need, as one text: `''` where there is only one server, or where the client does not know. After
 * a failover it is another text.
 */
export function nodesOf(client: RedisClient, charges: readonly Charge[]): string {
  const { isCluster, slots } = client as Topology
  if (!isCluster || !slots) return ''
  let nodes = ''
  let several: Set<string> | undefined
  for (let i = 0; i < charges.length; i++) {
    const subject = subjectOf(charges[i]!)
    if (i > 0 && subject === subjectOf(charges[i - 1]!)) continue
    const node = slots[slotOf(subject)]?.[0] ?? ''
    if (i === 0) nodes = node
    else if (node !== nodes) several = (several ?? new Set([nodes])).add(node)
  }
  return several ? [...several].sort().join(' ') : nodes
}

/** The slot a hash tag is in: CRC-16 of the XMODEM kind, by the specification of Redis Cluster. */
function slotOf(tag: string): number {
  let crc = 0
  for (let i = 0; i < tag.length; i++) crc = ((crc << 8) & 0xffff) ^ remainders[(crc >>> 8) ^ tag.charCodeAt(i)]!
  return crc % slotCount
}

const remainders = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})
