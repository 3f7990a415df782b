/** Structured fields (RFC 9651): read strictly, written safely. */
export * from './structured-parse.ts'
export * from './structured-serialise.ts'
export type * from './structured-types.ts'
