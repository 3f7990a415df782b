import { isOfRawRequest } from '../../exchange/client/by.ts'
import type { AtFront, Opening, Pipeline } from '../../exchange/exchange.ts'
import type { Policy } from '../policy/policy.ts'
import { Admission } from './admission.ts'
import type { LimiterParts } from './parts.ts'
import { PlainAdmission } from './plain.ts'

/** A stage of requests that counts them against one or several policies, charged together or not at all. */
export interface LimitPipeline extends Pipeline {
  /** On Fastify: `preHandler` as soon as one of the policies asks for it. */
  readonly phase: 'onRequest' | 'preHandler'
  /** Every policy says its phase: whoever wrote them knows what there is to read by then. */
  readonly phaseGiven: boolean
  /** The same policies, with a quota of its own for each route: matched pattern and method, never the raw URL. */
  per(what: 'route'): LimitPipeline
}

const proceed: Opening = Object.freeze({ kind: 'proceed' })

/** @param policies - at least one, no name twice */
export function limitPipeline(parts: LimiterParts, policies: readonly Policy[]): LimitPipeline {
  const delays = policies.some(({ slowDown }) => slowDown) ? parts.delays : undefined
  const stage = Object.freeze({ parts, policies, delays })
  const plain = PlainAdmission.of(stage)
  return Object.freeze<LimitPipeline>({
    name: 'limit',
    atFront: atFrontOf(policies),
    phase: policies.some(({ phase }) => phase === 'preHandler') ? 'preHandler' : 'onRequest',
    phaseGiven: policies.every(({ phaseGiven }) => phaseGiven),
    per() {
      for (const { name } of policies) parts.split.add(name)
      return limitPipeline(
        parts,
        policies.map((policy) => Object.freeze({ ...policy, perRoute: true })),
      )
    },
    open(view) {
      // A refresh in the background is made by us, for nobody.
      if (view.ticket !== undefined) return proceed
      if (plain?.ready) return plain.open(view)
      const mark = parts.marks.get(view.incoming ?? view.native)
      return mark?.exempt ? proceed : new Admission(stage, view, mark).decide()
    },
  })
}

/** Where the policies ask nothing of the application, they can be charged before it has seen the request. */
function atFrontOf(policies: readonly Policy[]): AtFront {
  for (const { name, key, rate, cost, countIf, skip, refusing } of policies) {
    const asks = [rate, countIf, skip, cost, ...Object.values(refusing ?? {})].some((one) => typeof one === 'function')
    if (refusing?.asError) return { reason: `limit \`${name}\` in front of it hands refusals to the application` }
    if (asks) return { reason: `limit \`${name}\` in front of it asks a function of the application's` }
    if (!isOfRawRequest(key)) return { reason: `the key of limit \`${name}\` in front of it needs the framework` }
  }
  return 'runs'
}
