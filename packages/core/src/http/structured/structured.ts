/** Structured fields (RFC 9651): read strictly, written safely. */
export * from './parse.ts'
export * from './serialise.ts'
export type * from './types.ts'
