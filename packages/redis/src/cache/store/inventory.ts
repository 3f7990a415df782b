import { expireRecord, type InventoryItem, readHead, recordFrom } from '@sluice/core'
import { parseSpec } from '../lookup/specs.ts'
import type { LaneScripts } from './lane-scripts.ts'
import type { Place } from './lanes.ts'
import { stampBytes, variants } from './scripts.ts'

/** Frames are read whole, for their checksum: so much of them and no more. Bytes. */
const mostBytes = 16 * 1024 * 1024

/** Everything that is stored under a key. */
export async function inventoryOf(
  scripts: LaneScripts,
  key: string,
  place: Place,
  most: number,
): Promise<InventoryItem[]> {
  const { lane, entry, id } = place
  const now = scripts.now()
  const { values } = await scripts.run(lane, variants, [entry], [most])
  const spec = parseSpec(String(values[2] ?? ''))
  const found: { readonly frame: string; readonly ageMs: number; readonly expiredAgeMs: number }[] = []
  let bytes = 0
  for (let i = 3; i + 3 < values.length; i += 4) {
    bytes += Number(values[i + 3])
    if (bytes > mostBytes) break
    const frame = lane.variant(id, String(values[i])).frame
    found.push({ frame, ageMs: Number(values[i + 1]), expiredAgeMs: Number(values[i + 2]) })
  }
  if (found.length === 0) return []
  const frames = await scripts.link.read(found.map(({ frame }) => frame))
  return found.flatMap(({ ageMs, expiredAgeMs }, i): InventoryItem[] => {
    const bytes = frames[i]
    const head = bytes && readHead(bytes, stampBytes)
    if (!head) return []
    const stored = recordFrom(head, bytes, stampBytes, now - ageMs)
    const record = expiredAgeMs >= 0 ? expireRecord(stored, now - expiredAgeMs) : stored
    return [{ key, spec: spec.fields.length + spec.codings.length > 0 ? spec : undefined, record }]
  })
}
