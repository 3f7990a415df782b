import type { WarmProgress } from './options.ts'

/** Where a line is drawn: `process.stderr`, say. */
export interface LineOutput {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

/** On something that is no terminal, a line for every so many URLs. */
const every = 100

/**
 * Draws how far a warming has come, on one line: `onProgress: progressLine()`. Where the output is no terminal (a log),
 * each hundredth URL and the last have a line of their own.
 */
export function progressLine(output: LineOutput = process.stderr): (progress: WarmProgress) => void {
  return (progress) => {
    const { done, total } = progress
    const text = describeCounts(progress)
    if (!output.isTTY) {
      if (done % every === 0 || done === total) output.write(`${text}\n`)
      return
    }
    const line = `${text}  ${progress.url}`
    output.write(`\r\u001b[K${line.slice(0, (output.columns ?? 80) - 1)}${done === total ? '\n' : ''}`)
  }
}

/** `120 of 300: 80 stored, 30 there already, 8 not stored, 2 failed`. */
export function describeCounts({
  done,
  total,
  stored,
  hits,
  unstored,
  failed,
  resumed,
}: Omit<WarmProgress, 'url' | 'status'>): string {
  const parts = [
    `${stored} stored`,
    `${hits} there already`,
    ...(unstored ? [`${unstored} not stored`] : []),
    ...(failed ? [`${failed} failed`] : []),
    ...(resumed ? [`${resumed} done before`] : []),
  ]
  return `${done} of ${total}: ${parts.join(', ')}`
}
