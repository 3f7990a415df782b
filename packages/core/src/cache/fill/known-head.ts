import type { ResponseHead } from '../../exchange/exchange.ts'

/** What is told of an answer. */
export type KnownHead = Pick<ResponseHead, 'status' | 'length' | 'isLengthDear'>

/** Bytes of the body, where they are known without writing it. */
export const lengthOf = (head: KnownHead): number | undefined => (head.isLengthDear ? undefined : head.length)
