import type { PageLinks } from './links.ts'

/** What a handler may say about a page of its list. */
export interface ReplyAbout {
  /** How many items the whole list has, where it was counted. Becomes `X-Total-Count`. */
  readonly total?: number | undefined
  /** Whether there are more behind these, in the direction of the query. Default: told by `take`, `total` or a full page. */
  readonly hasMore?: boolean | undefined
}

/** What `page.reply` has found out: for envelopes. */
export interface ReplyInfo {
  readonly style: 'page' | 'offset' | 'cursor'
  readonly limit: number
  /** From 1. Of style `page`. */
  readonly number?: number | undefined
  /** Of styles `page` and `offset`. */
  readonly offset?: number | undefined
  readonly total?: number | undefined
  /** How many pages there are, where the total is known. Not of cursors. */
  readonly pages?: number | undefined
  readonly hasNext: boolean
  readonly hasPrev: boolean
  readonly links: PageLinks
  /** The cursors of the neighbouring pages, without the links around them. */
  readonly cursors?: { readonly prev?: string | undefined; readonly next?: string | undefined } | undefined
}
