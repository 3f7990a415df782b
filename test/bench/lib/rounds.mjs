/** The contestants in the order of that round: each begins as often as the others. */
export const rotate = (list, round) => [...list.slice(round % list.length), ...list.slice(0, round % list.length)]

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
