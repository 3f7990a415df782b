import { createHmac, timingSafeEqual } from 'node:crypto'
import { SluiceError, show } from '../../base/errors.ts'
import { joinParts } from '../../exchange/client/by.ts'
import type { Order } from './sort.ts'

/** A value by which a list is sorted. */
export type CursorValue = string | number | bigint | boolean | Date | null

/** A place in a list. */
export interface Cursor {
  /** `after`: what comes behind it. `before`: what comes in front of it. */
  readonly side: 'after' | 'before'
  /** The values of the item it stands at, one for each column. `undefined`: the end of the list. */
  readonly values: readonly CursorValue[] | undefined
}

const version = 1
const macBytes = 16
const head = Buffer.of(version)
/** Longer ones are neither given out nor read: a URL has to hold them. */
export const maxCursorLength = 2_048

/**
 * Writes and reads cursors. One is base64url of a version byte, 128 bits of HMAC-SHA256, and the place as JSON. What it
 * is bound to (route, order) is signed with it and does not stand in it. It is not encrypted: do not sort by a secret.
 */
export class CursorCodec {
  readonly #secrets: readonly (string | Uint8Array)[]
  /** The one that every answer of a list has: that of its end. */
  #end: { readonly route: string; readonly order: Order; readonly text: string } | undefined

  /** @param secrets - the first signs, each is believed: that is how one is replaced by the next */
  constructor(secrets: readonly (string | Uint8Array)[]) {
    this.#secrets = secrets
  }

  /** @throws SluiceError for values that cannot stand in a cursor, or make it longer than 2,048 characters */
  encode(cursor: Cursor, route: string, order: Order): string {
    if (cursor.values !== undefined || cursor.side === 'after') return this.#encode(cursor, route, order)
    if (this.#end?.route !== route || this.#end.order !== order) {
      this.#end = { route, order, text: this.#encode(cursor, route, order) }
    }
    return this.#end.text
  }

  #encode({ side, values }: Cursor, route: string, order: Order): string {
    const said = [side === 'after' ? 'a' : 'b', ...(values ? [values.map((v, i) => pack(v, order, i))] : [])]
    const payload = Buffer.from(JSON.stringify(said))
    const mac = this.#mac(this.#secrets[0]!, payload, route, order)
    const text = Buffer.concat([head, mac, payload]).toString('base64url')
    if (text.length <= maxCursorLength) return text
    throw new SluiceError(
      'ERR_SLUICE_INPUT',
      `A cursor of ${text.length} characters is too long for a URL. Sort by shorter columns than ${columnsOf(order)}.`,
    )
  }

  /** `undefined` for everything that `encode` has not made for this route and order. */
  decode(text: string, route: string, order: Order): Cursor | undefined {
    if (text.length > maxCursorLength || !/^[\w-]+$/.test(text)) return undefined
    const bytes = Buffer.from(text, 'base64url')
    // Bits behind the last byte can be anything: one place has one spelling.
    if (bytes[0] !== version || bytes.byteLength <= 1 + macBytes || bytes.toString('base64url') !== text)
      return undefined
    const mac = bytes.subarray(1, 1 + macBytes)
    const payload = bytes.subarray(1 + macBytes)
    const known = this.#secrets.some((secret) => timingSafeEqual(mac, this.#mac(secret, payload, route, order)))
    if (!known) return undefined
    const [side, values] = JSON.parse(payload.toString()) as ['a' | 'b', Packed[]?]
    return { side: side === 'a' ? 'after' : 'before', values: values?.map(unpack) }
  }

  #mac(secret: string | Uint8Array, payload: Uint8Array, route: string, order: Order): Buffer {
    const bound = joinParts(['sluice.cursor', String(version), route, order.signature])
    return createHmac('sha256', secret).update(bound).update(payload).digest().subarray(0, macBytes)
  }
}

type Packed = string | number | boolean | null | { readonly n: string } | { readonly d: number }

function pack(value: CursorValue, order: Order, at: number): Packed {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'bigint') return { n: String(value) }
  if (value instanceof Date && Number.isFinite(value.getTime())) return { d: value.getTime() }
  throw new SluiceError(
    'ERR_SLUICE_INPUT',
    `The column \`${order.columns[at]!.column}\` holds ${show(value)}, which cannot stand in a cursor. Sort by a text, number, date or boolean.`,
  )
}

function unpack(value: Packed): CursorValue {
  if (typeof value !== 'object' || value === null) return value
  return 'n' in value ? BigInt(value.n) : new Date(value.d)
}

function columnsOf(order: Order): string {
  return order.columns.map(({ column }) => `\`${column}\``).join(', ')
}

/**
 * Where an item stands in an order.
 *
 * @throws SluiceError where it lacks a column, or holds a null in one that is said to have none
 */
export function placeOf(item: unknown, order: Order): CursorValue[] {
  return order.columns.map(({ column, nulls, of }) => {
    const value = of(item) as CursorValue | undefined
    if (value === undefined) {
      const advice = `Select the column, or say where its value is: \`{ column: '${column}', of: (item) => … }\`.`
      throw new SluiceError('ERR_SLUICE_INPUT', `An item has no \`${column}\`, by which the list is sorted. ${advice}`)
    }
    if (value === null && nulls === undefined) {
      const advice = `Say where they stand: \`{ column: '${column}', nulls: 'last' }\`, and in the SQL too.`
      throw new SluiceError('ERR_SLUICE_INPUT', `The column \`${column}\` holds nulls. ${advice}`)
    }
    return value
  })
}
