import {
  type CacheRecord,
  type Clock,
  decodeRecord,
  encodeRecord,
  isBetterForm,
  recordWith,
  type StoredForm,
  type StoreOut,
  sameForm,
  type VariantSelector,
} from '@sluice/core'
import { withDeadline } from '../../connection/deadline.ts'
import type { Found } from '../lookup/look-ups.ts'
import { parseSpec } from '../lookup/specs.ts'
import type { Stamps } from '../lookup/stamps.ts'
import { attempts, type LaneScripts } from '../store/lane-scripts.ts'
import type { Lanes } from '../store/lanes.ts'
import { replaceFrame, stampBytes } from '../store/scripts.ts'

export interface FormsOptions {
  readonly scripts: LaneScripts
  readonly lanes: Lanes
  readonly clock: Clock
  readonly stamps: Stamps
  /** How long it may take to write one. */
  readonly deadlineMs: number
  /** Larger frames are not stored. Bytes. */
  readonly maxEntryBytes: number
  readonly find: (key: string, select: VariantSelector) => Promise<Found | StoreOut>
}

/**
 * The frame of a record, with room for its stamp, and with as many of its forms as fit, from the first on, which is what the
 * others are made of.
 */
export function frameWithin(maxBytes: number, record: CacheRecord): Buffer | undefined {
  for (let count = record.forms.length; count > 0; count--) {
    const frame = encodeRecord(recordWith(record, { forms: record.forms.slice(0, count) }), stampBytes)
    if (frame.byteLength - stampBytes <= maxBytes) return frame
  }
  return undefined
}

/**
 * Adds encoded forms to records in Redis, so that each is made once for all processes. Reads the frame there is, and puts
 * one with the form in its place if it is still the same: nothing has to be remembered of the many hits that need no form,
 * and what other processes added meanwhile stays. Who comes second tries again with what the first has written.
 */
export class SharedForms {
  readonly #options: FormsOptions

  constructor(options: FormsOptions) {
    this.#options = options
  }

  /** Whether Redis has such a form now. */
  async add(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): Promise<boolean> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const found = await this.#options.find(key, select)
      if (found?.kind !== 'record') return false
      // As it is written, and not as it is at this moment: its times and what was expired of it are the meta's matter.
      const held = decodeRecord(found.frame.subarray(stampBytes))
      if (!held || !sameForm(held.forms[0]!, of.forms[0]!)) return false
      if (!isBetterForm(form, heldOf(held, form.coding))) return true
      const forms = [...held.forms.filter(({ coding }) => coding !== form.coding), form]
      const frame = encodeRecord({ ...held, forms }, stampBytes)
      if (frame.byteLength - stampBytes > this.#options.maxEntryBytes) return false
      if (await this.#replace(key, select, found, frame)) return true
    }
    return false
  }

  async #replace(
    key: string,
    select: VariantSelector,
    { spec, frame: read }: Found & { readonly kind: 'record' },
    frame: Buffer,
  ): Promise<boolean> {
    const { scripts, lanes, clock, stamps, deadlineMs } = this.#options
    const place = lanes.place(key)
    const at = spec === '' ? place.own : lanes.variant(place, select(parseSpec(spec)))
    const args = [spec, at.name, read.subarray(0, stampBytes), stamps.stamp(frame)]
    const done = scripts.run(place.lane, replaceFrame, [place.entry, at.frame], args, deadlineMs)
    const { values } = await withDeadline(clock, deadlineMs, 'store', done)
    return String(values[2]) === 'K'
  }
}

function heldOf({ forms }: CacheRecord, coding: string): StoredForm | undefined {
  return forms.find((form) => form.coding === coding)
}
