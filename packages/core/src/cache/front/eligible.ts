import type { Pipeline } from '../../exchange/exchange.ts'
import type { CachePolicy } from '../policy/options.ts'

/** Why a route with these options cannot be answered in front of the application; `undefined` where it can. */
export function whyNot(policy: CachePolicy, stages: readonly Pipeline[]): string | undefined {
  const given = [policy.unless && 'unless', policy.key && 'key', policy.varyFunctions.length > 0 && 'varyBy'].filter(
    Boolean,
  )
  if (given.length > 0) return `its ${given.join(' and ')} asks the framework's request`
  for (const { name, atFront } of stages) {
    if (atFront === undefined) return `\`${name}\` in front of it must not be left out`
    if (typeof atFront === 'object') return atFront.reason
  }
  return undefined
}
