import { optionError } from '../../base/errors.ts'
import type { AnyAlgorithm } from '../algorithms/algorithm-for.ts'
import type { PolicyOptions } from '../policy/options.ts'
import type { LimitStore, Quota } from '../store/store.ts'
import { banAlgorithm } from './ban.ts'
import { banRules } from './options.ts'

/**
 * What a policy's bans are asked by; `undefined` where it has none.
 *
 * @throws SluiceError where there can be none, and for rules that make no sense
 */
export function banQuota(policy: string, where: string, options: PolicyOptions, store: LimitStore): Quota | undefined {
  const { ban, lease, shadow, onOutage } = options
  if (ban === undefined) return undefined
  const algorithm = banAlgorithm(banRules(`${where}.ban`, ban)) as unknown as AnyAlgorithm
  if (lease) {
    throw optionError(
      `${where}.lease`,
      'must be left out where there is a `ban`, which is asked about each time',
      lease,
    )
  }
  if (!store.bans) throw optionError(`${where}.ban`, 'must be left out: the store of the policy keeps no bans', ban)
  return {
    policy,
    name: policy,
    id: `:${policy.length}:${policy}:b`,
    algorithm,
    shadow: shadow ?? false,
    onOutage: onOutage ?? 'local',
    share: 1,
    lease: 0,
  }
}
