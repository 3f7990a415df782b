import { optionError, SluiceError } from '../../base/errors.ts'
import { suggest } from '../../base/options.ts'
import { Labels } from './labels.ts'
import type { PolicyInput, PolicyOptions } from './options.ts'
import { type Policy, type PolicyDefaults, resolvePolicy, unknownPolicy } from './policy.ts'
import { looksLikeRate, parseRate, rateText } from './rate.ts'

/** The policies of a limiter: those of its configuration, and those given in place since. */
export class Policies {
  readonly #policies = new Map<string, Policy>()
  readonly #configured: readonly string[]
  readonly #defaults: PolicyDefaults
  /** The names of those that are split by route, by themselves or where they are mounted. */
  readonly split = new Set<string>()

  constructor(limits: Readonly<Record<string, PolicyInput>>, defaults: Omit<PolicyDefaults, 'labels'>) {
    this.#configured = Object.keys(limits)
    this.#defaults = { ...defaults, labels: new Labels(this.#configured) }
    for (const [name, input] of Object.entries(limits)) {
      if (name === '') throw optionError('limits', 'must have names for its policies', name)
      this.#add(resolvePolicy(name, input, this.#defaults))
    }
  }

  #add(policy: Policy): Policy {
    this.#policies.set(policy.name, policy)
    if (policy.perRoute) this.split.add(policy.name)
    return policy
  }

  /** @throws SluiceError `ERR_SLUICE_POLICY` with the nearest name there is */
  named(name: string): Policy {
    const policy = this.#policies.get(name)
    if (!policy) throw unknownPolicy(String(name), suggest(String(name), this.#configured))
    return policy
  }

  /** A name, a rate, or a policy given in place; the same name is the same bucket wherever it is mounted. */
  of(input: PolicyInput): Policy {
    if (typeof input === 'string') {
      const known = this.#policies.get(input)
      if (known) return known
      if (!looksLikeRate(input)) return this.named(input)
    }
    const policy = resolvePolicy(undefined, input, this.#defaults)
    const known = this.#policies.get(policy.name)
    if (known && known.input !== input && !same(known.input, input)) {
      throw new SluiceError(
        'ERR_SLUICE_POLICY',
        `Two different policies are both called ${JSON.stringify(policy.name)}, and would share a bucket. Give one of them a \`name\`.`,
      )
    }
    return known ?? this.#add(policy)
  }

  [Symbol.iterator](): Iterator<readonly [string, Policy]> {
    return this.#policies.entries()
  }
}

/** Whether two inputs are the same policy: the same object, or objects (and rates) that say the same. */
function same(a: PolicyInput, b: PolicyInput): boolean {
  const [left, right] = [a, b].map((input) => (typeof input === 'string' ? { rate: input } : input))
  const keys = new Set([...Object.keys(left!), ...Object.keys(right!)]) as Set<keyof PolicyOptions>
  for (const key of keys) {
    const [x, y] = [left![key], right![key]]
    if (x === y || (key === 'ban' && JSON.stringify(x) === JSON.stringify(y))) continue
    if (key !== 'rate' || typeof x !== 'string' || typeof y !== 'string') return false
    if (rateText(parseRate('rate', x)) !== rateText(parseRate('rate', y))) return false
  }
  return true
}
