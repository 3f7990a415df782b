import type { OperatorAccess } from '@sluice/core'
import type { Monitor } from '../watch/monitor.ts'
import { parseReport, type Report, slotMs } from '../watch/report.ts'

/** How long a report stays up when its process falls silent. Milliseconds. */
const reportTtlMs = 30_000
/** While nobody watches, one report in so many slots. */
const slotsPerReport = 5
/** What the board said is believed for so long, and no longer than this slot: several pages are one reading. Milliseconds. */
const readAgainMs = 1_000

/** What is known of a process, and how old that is. */
export interface Known {
  readonly report: Report
  readonly ageMs: number
}

/** Everything there is to know of all processes. */
export interface Together {
  readonly all: readonly Known[]
  /** Why others are missing. */
  readonly trouble: string | undefined
}

/** This process among those that share its store: counts its slots, tells the others, and asks for what they tell. */
export class Peers {
  readonly #monitor: Monitor
  readonly #access: OperatorAccess
  readonly #ticked: () => void
  #cancel: (() => void) | undefined
  /** The time of the board less this machine's. */
  #aheadMs = 0
  #slot: number
  #watched = false
  #silent = 0
  #posting = false
  #read: { readonly at: number; readonly together: Promise<Together> } | undefined
  #closed = false

  /** @param ticked - called after each slot */
  constructor(monitor: Monitor, access: OperatorAccess, ticked: () => void) {
    this.#monitor = monitor
    this.#access = access
    this.#ticked = ticked
    this.#slot = this.#slotNow()
    this.#arm()
  }

  /** Whether there is anything to be joined with. */
  get joined(): boolean {
    return this.#access.board !== undefined
  }

  /** All processes, this one first. */
  together(): Promise<Together> {
    const now = performance.now()
    if (this.#read === undefined || now - this.#read.at >= readAgainMs) {
      this.#read = { at: now, together: this.#readBoard() }
    }
    return this.#read.together
  }

  close(): Promise<void> | undefined {
    this.#closed = true
    this.#cancel?.()
    // Others need not wait until it is gone by itself.
    return this.#access.board?.remove(this.#monitor.id).catch(() => undefined)
  }

  #now(): number {
    return this.#access.now() + this.#aheadMs
  }

  #slotNow(): number {
    return Math.floor(this.#now() / slotMs)
  }

  #arm(): void {
    const left = slotMs - (this.#now() % slotMs)
    const due = performance.now() + left
    this.#cancel = this.#access.after(left, () => {
      this.#tick(Math.max(0, performance.now() - due))
      if (!this.#closed) this.#arm()
    })
  }

  #tick(lateMs: number): void {
    const ended = this.#slotNow() - 1
    // A timer may be a little early, and a clock may be set back.
    if (ended < this.#slot) return
    this.#slot = ended + 1
    this.#monitor.tick(ended, lateMs)
    this.#read = undefined
    void this.#tell()
    this.#ticked()
  }

  async #tell(): Promise<void> {
    const { board } = this.#access
    if (!board || this.#posting || (!this.#watched && this.#silent++ % slotsPerReport !== 0)) return
    this.#posting = true
    try {
      const begun = this.#access.now()
      const { watched, now } = await board.post(this.#monitor.id, JSON.stringify(this.#monitor.report()), reportTtlMs)
      this.#watched = watched
      this.#aheadMs = now - (begun + this.#access.now()) / 2
    } catch {
      // Whoever looks at the page is told: reading fails too. The store itself reports what is wrong with it.
    } finally {
      this.#posting = false
    }
  }

  async #readBoard(): Promise<Together> {
    const own: Known = { report: this.#monitor.report(), ageMs: 0 }
    const { board } = this.#access
    if (!board) return { all: [own], trouble: undefined }
    try {
      const others: Known[] = []
      for (const [name, { note, ageMs }] of await board.read()) {
        const report = name === this.#monitor.id ? undefined : parseReport(note)
        if (report) others.push({ report, ageMs })
      }
      // From now on it tells at each slot itself: others learn of it by the board.
      this.#watched = true
      return { all: [own, ...others.sort((a, b) => (a.report.id < b.report.id ? -1 : 1))], trouble: undefined }
    } catch (error) {
      return { all: [own], trouble: (error as Error).message }
    }
  }
}
