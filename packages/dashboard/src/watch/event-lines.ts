import type { LogOptions } from '@sluice/core'
import type { EventLine } from '../page/contract.ts'

/** How many are remembered. */
const most = 100
const longestField = 300

/** What lines are taken from. */
export interface Logging {
  log(
    logger: Record<'info' | 'warn' | 'error', (fields: Readonly<Record<string, unknown>>, message: string) => void>,
    options?: LogOptions,
  ): () => void
}

/** The last lines of the log of an instance. */
export class EventLines {
  readonly #lines: EventLine[] = []
  readonly #stop: () => void
  #last = 0

  /** @param now - milliseconds since 1970 */
  constructor(source: Logging, now: () => number) {
    const write =
      (level: EventLine['level']) =>
      ({ event, ...fields }: Readonly<Record<string, unknown>>, message: string): void => {
        const at = now()
        // Rising, and never twice the same.
        this.#last = Math.max(this.#last + 1, at * 1_000)
        const line = { id: this.#last, at, level, event: String(event), message: message.replace(/^sluice: /, '') }
        this.#lines.push({ ...line, fields: textsOf(fields) })
        if (this.#lines.length > most) this.#lines.shift()
      }
    // Whoever may see the page may see tags and names: it is not a log that somebody keeps.
    const options: LogOptions = { every: '5s', most: 50, redact: false, order: 'fields' }
    this.#stop = source.log({ info: write('info'), warn: write('warn'), error: write('error') }, options)
  }

  read(): readonly EventLine[] {
    return [...this.#lines]
  }

  stop(): void {
    this.#stop()
  }
}

function textsOf(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, shortened(Array.isArray(value) ? value.join(', ') : value)]),
  )
}

function shortened(value: unknown): string {
  const text =
    value instanceof Date ? value.toISOString() : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.length > longestField ? `${text.slice(0, longestField)}…` : text
}
