import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { clock } from '../ui/format.ts'
import { useCalm } from '../ui/use.ts'
import { across, areaPath, linePath, upright } from './scale.ts'

export interface Line {
  readonly name: string
  /** A class of the style sheet, which knows its colour by day and in the dark. */
  readonly paint: string
  /** Told apart by its dashes too, for who cannot by its colour. */
  readonly dash?: string
  readonly values: readonly (number | null)[]
}

interface Props {
  readonly title: string
  readonly hint: string
  /** Seconds since 1970. */
  readonly times: readonly number[]
  /** Those of a stack from its ground. */
  readonly lines: readonly Line[]
  readonly stacked?: boolean
  /** The least that the axis reaches to; `[from, to]`: just that. */
  readonly reach: number | readonly [number, number]
  readonly format: (value: number) => string
  /** For the axis, where that is another. */
  readonly tick?: (value: number) => string
  /** The same in a sentence. */
  readonly inWords: string
  readonly size: 'half' | 'third' | 'quarter'
  /** The moment that is pointed at, in this chart or another: an index of `times`. */
  readonly pointed: number | null
  readonly onPoint: (index: number | null) => void
}

const [height, top, ground, left, end] = [150, 8, 128, 54, 8]

/** How wide the place of a chart is, now and whenever that changes. */
function useWidth() {
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(400)
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.round(entry!.contentRect.width))))
    resized.observe(ref.current!)
    return () => resized.disconnect()
  }, [])
  return [ref, width] as const
}

/** Each line on top of those before it. */
function stack(lines: readonly Line[]): (number | null)[][] {
  const stacked: (number | null)[][] = [lines[0]!.values.map((value) => value && 0)]
  for (const { values } of lines) {
    const below = stacked.at(-1)!
    stacked.push(values.map((value, at) => (value === null ? null : value + below[at]!)))
  }
  return stacked
}

/** A chart over time, its legend with the figures of the moment that is pointed at (else of now), and the same in words. */
export function Chart(props: Props) {
  const { title, hint, lines, format, times, size, stacked, pointed, onPoint, reach } = props
  const [place, width] = useWidth()
  const inWords = useCalm(props.inWords, 30_000)
  // Drawn anew when there is a new sample, and not while somebody moves the pointer over it.
  const { x, y, xs, paths } = useMemo(() => {
    const x = across(times, left, width - end)
    const xs = times.map(x.place)
    const heights = stacked ? stack(lines) : lines.map(({ values }) => values)
    const known = heights.flat().filter((value) => value !== null)
    const y = upright(known, reach, top, ground)
    const paths = lines.map((_, index) =>
      stacked ? areaPath(heights[index + 1]!, heights[index]!, xs, y) : linePath(heights[index]!, xs, y),
    )
    return { x, y, xs, paths }
  }, [times.at(-1), times.length, width])

  const at = pointed !== null && pointed < times.length ? pointed : times.length - 1
  const point = (event: PointerEvent): void => {
    const pixel = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left
    let nearest = 0
    xs.forEach((each, index) => {
      if (Math.abs(each - pixel) < Math.abs(xs[nearest]! - pixel)) nearest = index
    })
    if (nearest !== pointed) onPoint(nearest)
  }
  /** A label that would be cut at the edge is left out. */
  const isWithin = (tick: number): boolean => x.place(tick) < width - 24
  return (
    <figure class={`chart ${size}`}>
      <figcaption>
        <h3>
          {title}
          {pointed !== null && times[at] !== undefined && <span class="moment">{clock(times[at] * 1000)}</span>}
        </h3>
        <p class="hint">{hint}</p>
      </figcaption>
      <div class="plot" ref={place} onPointerMove={point} onPointerLeave={() => onPoint(null)}>
        <svg width={width} height={height} aria-hidden="true">
          {y.ticks.map((tick) => (
            <g key={tick}>
              <line class="grid" x1={left} x2={width - end} y1={y.place(tick)} y2={y.place(tick)} />
              <text x={left - 8} y={y.place(tick) + 4} text-anchor="end">
                {(props.tick ?? format)(tick)}
              </text>
            </g>
          ))}
          {x.ticks.filter(isWithin).map((tick) => (
            <text key={tick} x={x.place(tick)} y={height - 6} text-anchor="middle">
              {clock(tick * 1000).replace(/:00$/, '')}
            </text>
          ))}
          {lines.map(({ name, paint, dash }, index) => (
            <path key={name} class={`${stacked ? 'area' : 'line'} ${paint}`} d={paths[index]} stroke-dasharray={dash} />
          ))}
          {pointed !== null && <line class="cursor" x1={xs[at]} x2={xs[at]} y1={top} y2={ground} />}
        </svg>
      </div>
      <ul class="legend" aria-hidden="true">
        {lines.map(({ name, paint, dash, values }) => (
          <li key={name}>
            <svg class="swatch" viewBox="0 0 16 8" aria-hidden="true">
              {stacked ? (
                <rect class={`area ${paint}`} width="16" height="8" />
              ) : (
                <path class={`line ${paint}`} d="M1 4H15" stroke-dasharray={dash} />
              )}
            </svg>
            {name} <b>{values[at] == null ? '–' : format(values[at])}</b>
          </li>
        ))}
      </ul>
      <p class="unseen">{inWords}</p>
    </figure>
  )
}
