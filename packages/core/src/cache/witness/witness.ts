import type { CacheRecord, Witness } from '../entry/record.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { areStrangers, credentialFields, marksOf, visitorOf } from './visitor.ts'

/**
 * The second witness. What no watch can see (AsyncLocalStorage, a closure, a tenant that was derived in front) would make
 * one visitor's answer everybody's. So an answer is given to visitors with other credentials only when two of them, with
 * different credentials, were given the same.
 */

/** Whether the request in hand comes from the visitor the record was made for, or the record is everybody's. */
export function isForVisitor(lookup: Lookup, { witness }: CacheRecord): boolean {
  return witness === undefined || visitorOf(lookup, lookup.texts, witness.of) === witness.visitor
}

/** Whether the request in hand comes from somebody else than the record was made for, and not perhaps from the same visitor. */
export function isStranger(lookup: Lookup, { of, marks }: Witness): boolean {
  return areStrangers(marks, marksOf(lookup, of))
}

/** The first word on a response: whose it was, by the credentials that are not among its terms. `undefined`: all are. */
export function firstWitness(lookup: Lookup, terms: readonly string[]): Witness | undefined {
  const { covered } = lookup.key
  if (covered?.has('@identity')) return undefined
  const of = credentialFields.filter((name) => !terms.includes(name) && !terms.includes('*') && !covered?.has(name))
  if (of.length === 0) return undefined
  return { of, visitor: visitorOf(lookup, lookup.texts, of), marks: marksOf(lookup, of), state: 'first' }
}
