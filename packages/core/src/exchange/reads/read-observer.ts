import type { Term } from './term.ts'

/**
 * Told what a handler reads of the request.
 */
export interface ReadObserver {
  /** A field by its name in lower case, `@ip`, or `*`: it enumerated the fields. */
  read(name: string): void
  /** It turned out that nobody has used it. */
  unread(name: string): void
  /** Something on the framework's own objects. */
  input(input: Input): void
  /** A value is about to be replaced that a look-up would still have found. */
  written(term: Term, before: unknown): void
  /**
   * @returns forgets what was read since: it turned out to be nobody's who makes the answer. Called with a condition,
   *   of the inputs alone those that meet it
   */
  mark(): (which?: (input: Input) => boolean) => void
  /** Has something looked at once more before what was read is judged. */
  beforeJudging(look: () => void): void
}

/** A value that was read, or that might be without our seeing it. */
export interface Input {
  readonly term: Term
  readonly value: unknown
  /** It was put there while the handler ran: a look-up will not find it. */
  readonly late?: boolean | undefined
  /** It cannot be watched, so it counts as read, and its value may change unseen. */
  readonly hidden?: boolean | undefined
  /** The names of all that stands there were read, and not yet the values. */
  readonly names?: boolean | undefined
}
