import type { Charge } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import { slotOf } from '../../connection/slots.ts'
import { subjectOf } from './keys.ts'

/**
 * The nodes that charges need, as one text: `''` where there is only one server, or where the client does not know. After
 * a failover it is another text.
 */
export function nodesOf(client: ScriptClient, charges: readonly Charge[]): string {
  if (!client.isCluster) return ''
  let nodes = ''
  let several: Set<string> | undefined
  for (let i = 0; i < charges.length; i++) {
    const subject = subjectOf(charges[i]!)
    if (i > 0 && subject === subjectOf(charges[i - 1]!)) continue
    const node = client.nodeOf(slotOf(subject))
    if (i === 0) nodes = node
    else if (node !== nodes) several = (several ?? new Set([nodes])).add(node)
  }
  return several ? [...several].sort().join(' ') : nodes
}
