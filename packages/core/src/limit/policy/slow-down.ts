import { optionError } from '../../base/errors.ts'
import { checkOptions, rule } from '../../base/options.ts'
import { type Duration, durationMs } from '../../base/units.ts'

/** How a policy delays requests before it refuses any. */
export interface SlowDownOptions {
  /** How long a request may be delayed at most: a duration of 1 ms or more. Who would have to wait longer is refused at once. */
  readonly max: Duration
  /**
   * How many requests may wait for this policy at a time, in each process. Who finds no place is refused at once. As many again
   * may be held up by `by`; beyond that requests within their quota go on undelayed. Default 100.
   */
  readonly queue?: number | undefined
  /** How many of them may wait for one key, so that one client does not take all the places. Default: a tenth of `queue`. */
  readonly perKey?: number | undefined
  /** From which part of the quota on requests are slowed down that are within it, 0 to 1. Needs `by`. Default: none are. */
  readonly from?: number | undefined
  /** By how much longer for each unit that is used beyond that part, up to `max`. Needs `from`. Default: not at all. */
  readonly by?: Duration | undefined
}

/** The same, resolved, with the places that are taken: one for all forms of a policy. */
export interface SlowDown {
  readonly maxMs: number
  readonly queue: number
  readonly perKey: number
  /** The part of the quota that is not slowed down. */
  readonly from: number
  /** 0: nothing is slowed down within the quota. */
  readonly byMs: number
  readonly taken: { waiting: number; eased: number }
}

/**
 * @param where - the path of the policy, for messages
 * @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_UNIT`
 */
export function slowDownOf(where: string, options: SlowDownOptions | undefined): SlowDown | undefined {
  if (options === undefined) return undefined
  const at = `${where}.slowDown`
  checkOptions<SlowDownOptions>(at, options, {
    max: aMillisecond,
    queue: rule.positiveInteger,
    perKey: rule.positiveInteger,
    from: rule.fraction,
    by: aMillisecond,
  })
  const { max, queue = 100, perKey = Math.max(1, Math.floor(queue / 10)), from, by } = options
  if (max === undefined) throw optionError(`${at}.max`, 'must be given: the longest delay', max)
  if (perKey > queue) throw optionError(`${at}.perKey`, 'must not be more than `queue`', perKey)
  if (from !== undefined && by === undefined) throw optionError(`${at}.by`, 'must be given beside `from`', by)
  if (by !== undefined && from === undefined) throw optionError(`${at}.from`, 'must be given beside `by`', from)
  return Object.freeze({
    maxMs: durationMs(`${at}.max`, max),
    queue,
    perKey,
    from: from ?? 1,
    byMs: by === undefined ? 0 : durationMs(`${at}.by`, by),
    taken: { waiting: 0, eased: 0 },
  })
}

function aMillisecond(value: unknown, path?: string): string | undefined {
  return durationMs(path ?? '', value as Duration) >= 1 ? undefined : 'must be a millisecond or longer'
}
