import type { Charge } from '@sluice/core'
import { strictestFirst } from './keys.ts'
import { keysPerCall } from './scan.ts'

/** Runs charges in parts a script can do at once: of one slot in a Cluster, and not too many. Answers in the charges' order. */
export async function inParts<T>(
  charges: readonly Charge[],
  cluster: boolean,
  run: (part: readonly Charge[]) => Promise<readonly T[]>,
): Promise<T[]> {
  const groups = cluster ? strictestFirst(charges) : [charges.map((_, i) => i)]
  const answers: T[] = []
  const parts = groups.flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / keysPerCall) }, (_, n) =>
      group.slice(n * keysPerCall, (n + 1) * keysPerCall),
    ),
  )
  await Promise.all(
    parts.map(async (part) => {
      const answer = await run(part.map((i) => charges[i]!))
      part.forEach((i, n) => {
        answers[i] = answer[n]!
      })
    }),
  )
  return answers
}
