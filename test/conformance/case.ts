/**
 * What a public suite asks of caches (http-tests/cache-tests), as data: the ids and what each wants are that suite's, so
 * that results can be compared; rows, origin and runner are written here.
 */

/**
 * A line of a field. A number is a date so many seconds from now. `false`: it need not arrive as it was sent (in the
 * suite's words: it is not checked).
 */
export type Line = readonly [name: string, value: string | number, checked?: false]

/** How a request is to be answered: from the store, by the origin, or by the store once the origin confirmed it. */
export type Type = 'cached' | 'not_cached' | 'etag_validated' | 'lm_validated'

/** `>`: a number above the third. */
export type Wanted = Line | readonly [name: string, operator: '>', than: number]

/** One request: what is sent, what the origin would answer, and what has to come back. */
export interface Request {
  readonly method?: string
  /** What stands behind the case's own path. */
  readonly file?: string
  readonly query?: string
  readonly send?: readonly Line[]
  readonly body?: string

  readonly status?: number
  readonly say?: readonly Line[]
  /** Default: a text of the case's own. */
  readonly text?: string
  /** 1xx responses in front. */
  readonly interim?: readonly (readonly [status: 102 | 103, fields?: Readonly<Record<string, string>>])[]
  /** The origin is gone: what a handler that asks another server meets. */
  readonly gone?: true

  readonly type?: Type
  /** Default: `status`, else 200. `null`: whatever. */
  readonly wantStatus?: number | null
  readonly wantText?: string
  readonly wantLines?: readonly Wanted[]
  readonly wantMissing?: readonly string[]
  readonly wantInterim?: Request['interim']
  /** What the origin has to have been sent. */
  readonly wantSent?: readonly (readonly [name: string, value: string])[]
  /** The body is not looked at. */
  readonly anyText?: true

  /** Three seconds pass. */
  readonly pause?: true
}

export interface Case {
  readonly id: string
  readonly kind: 'required' | 'optimal'
  /** Of RFC 9111, where no other is named. */
  readonly section: string
  readonly requests: readonly Request[]
}

/** Seconds that pass where a request says `pause`. */
export const pauseSeconds = 3

const kinds = { must: 'required', best: 'optimal' } as const

export type Kind = keyof typeof kinds

/** A case of any shape. `must`: the suite requires it; `best`: an optimal cache does it. */
export const shaped = (id: string, kind: Kind, section: string, ...requests: readonly Request[]): Case => ({
  id,
  kind: kinds[kind],
  section,
  requests,
})

/** Something is answered, three seconds pass, it is asked for again. */
export const again = (
  id: string,
  kind: Kind,
  section: string,
  type: Type,
  say: readonly Line[],
  more: Pick<Request, 'send' | 'pause'> = { pause: true },
): Case => shaped(id, kind, section, { say, ...more }, { type })

/** The same without a pause between. */
export const atOnce = (id: string, kind: Kind, section: string, type: Type, say: readonly Line[]): Case =>
  again(id, kind, section, type, say, {})

/** A field that stands for itself: capitals only, so that no cache can take it for something it knows. */
export const unknownValue = (text: string): string => text.toUpperCase().replace(/[^A-Z]/g, '')

/** An answer that stays fresh. */
export const fresh = (say: readonly Line[] = [], more: Request = {}): Request => ({
  pause: true,
  ...more,
  say: [['Cache-Control', 'max-age=100000'], ['Date', 0], ...say],
})

/** An answer that is not fresh when the next request comes. */
export const becomesStale = (say: readonly Line[] = [], more: Request = {}): Request => ({
  pause: true,
  ...more,
  say: [['Cache-Control', 'max-age=2'], ['Date', 0], ['Template-A', '1'], ...say],
})
