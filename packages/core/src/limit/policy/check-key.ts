import { optionError } from '../../base/errors.ts'

/** @throws SluiceError for what cannot be the natural name of a subject, or a list of such names */
export function checkKey(key: unknown): void {
  if (isKey(key) || (Array.isArray(key) && key.every(isKey))) return
  throw optionError('key', 'must be a string, or a list of them: what the policy counts by', key)
}

function isKey(key: unknown): boolean {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint'
}
