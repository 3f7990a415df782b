import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

/** What a run has done, on disk: a line for each URL, so that another can go on from there. */
export interface Journal {
  readonly done: ReadonlySet<string>
  note(id: string): void
  /** @param complete - nothing is left: the next run begins anew */
  close(complete: boolean): void
}

export function openJournal(path: string | undefined): Journal {
  if (path === undefined) return { done: new Set(), note() {}, close() {} }
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  // A line that a crash cut short could be the beginning of another URL: only whole ones count.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole !== text) writeFileSync(path, whole)
  return {
    done: new Set(whole.split('\n').filter((line) => line !== '')),
    // At once and not in batches: what is noted is done, whatever happens next.
    note: (id) => appendFileSync(path, `${id}\n`),
    close(complete) {
      if (complete) rmSync(path, { force: true })
    },
  }
}
