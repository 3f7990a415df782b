/** Where something stands on the paper, and where lines of the grid do. */
export interface Scale {
  readonly from: number
  readonly to: number
  readonly ticks: readonly number[]
  place(value: number): number
}

/** @param reach the least that it reaches to; `[from, to]`: just that */
export function upright(
  values: readonly number[],
  reach: number | readonly [number, number],
  top: number,
  ground: number,
): Scale {
  const most = typeof reach === 'number' ? Math.max(reach, ...values) : reach[1]
  const step = round(most / 3)
  const to = typeof reach === 'number' ? Math.ceil(most / step - 1e-9) * step : most
  const ticks = Array.from({ length: Math.floor(to / step + 1e-9) + 1 }, (_, index) => index * step)
  return { from: 0, to, ticks, place: (value) => ground - (value / to) * (ground - top) }
}

/** The next of 1, 2, 2.5, 5, 10, and so on. */
function round(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 2.5, 5].find((step) => step * power >= value - 1e-12) ?? 10)
}

const spans = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]
const apart = 72

/** @param times seconds since 1970, the oldest first */
export function across(times: readonly number[], left: number, right: number): Scale {
  const to = times.at(-1) ?? 0
  // One moment alone stands at the end of a minute.
  const from = Math.min(times[0] ?? 0, to - 60)
  const place = (time: number): number => left + ((time - from) / (to - from)) * (right - left)
  const span = spans.find((each) => (each / (to - from)) * (right - left) >= apart) ?? 7200
  const first = Math.ceil(from / span) * span
  const count = Math.max(0, Math.floor((to - first) / span) + 1)
  return { from, to, place, ticks: Array.from({ length: count }, (_, index) => first + index * span) }
}

/** The stretches of a line in which something is known: from index, and to index, without it. */
function stretches(values: readonly (number | null)[]): [number, number][] {
  const found: [number, number][] = []
  values.forEach((value, index) => {
    if (value === null) return
    const last = found.at(-1)
    if (last?.[1] === index) last[1]++
    else found.push([index, index + 1])
  })
  return found
}

const tenth = (value: number): number => Math.round(value * 10) / 10

/** The path of a line. A moment alone is drawn as a dot: a line of no length, with round ends. */
export function linePath(values: readonly (number | null)[], xs: readonly number[], y: Scale): string {
  return stretches(values)
    .map(([from, to]) => {
      const points = values
        .slice(from, to)
        .map((value, index) => `${tenth(xs[from + index]!)} ${tenth(y.place(value!))}`)
      return `M${points.join('L')}${points.length === 1 ? `L${points[0]}` : ''}`
    })
    .join('')
}

/** The path of an area between two lines that are known at the same moments. */
export function areaPath(
  above: readonly (number | null)[],
  below: readonly (number | null)[],
  xs: readonly number[],
  y: Scale,
): string {
  const point = (values: readonly (number | null)[]) => (at: number) =>
    `${tenth(xs[at]!)} ${tenth(y.place(values[at]!))}`
  return stretches(above)
    .map(([from, to]) => {
      const at = Array.from({ length: to - from }, (_, index) => from + index)
      return `M${at.map(point(above)).join('L')}L${at.reverse().map(point(below)).join('L')}Z`
    })
    .join('')
}
