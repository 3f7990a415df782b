/** The data model of structured fields (RFC 9651 §3). */

/** A bare item (RFC 9651 §3.3). Integers and decimals are told apart: `1` and `1.0` are different types. */
export type SfBareItem =
  | { readonly type: 'integer' | 'decimal'; readonly value: number }
  | { readonly type: 'string' | 'token' | 'display-string'; readonly value: string }
  | { readonly type: 'binary'; readonly value: Uint8Array }
  | { readonly type: 'boolean'; readonly value: boolean }
  /** Seconds since the epoch. */
  | { readonly type: 'date'; readonly value: number }

/** Parameters in the order they were given, each key once (RFC 9651 §3.1.2). */
export type SfParameters = ReadonlyMap<string, SfBareItem>

/** A bare item with its parameters (RFC 9651 §3.3). */
export type SfItem = SfBareItem & { readonly parameters: SfParameters }

/** Items in parentheses (RFC 9651 §3.1.1). */
export interface SfInnerList {
  readonly type: 'inner-list'
  readonly items: readonly SfItem[]
  readonly parameters: SfParameters
}

/** A member of a list or a dictionary. */
export type SfMember = SfItem | SfInnerList
