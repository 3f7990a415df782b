import type { EventLine, Frame, Sample } from '../../src/page/contract.ts'

/** All that the page has been told: the newest frame, and what frames brought one after the other. */
export interface Known {
  readonly frame: Frame
  readonly samples: readonly Sample[]
  /** The newest last. */
  readonly events: readonly EventLine[]
}

const mostSamples = 600
const mostEvents = 200

/** @param known what was known before; none at first */
export function learn(known: Known | undefined, frame: Frame): Known {
  const before = known && sameStory(known.frame, frame) ? known : undefined
  // What a frame brings reaches from some moment to now, and stands in for what was known of that time.
  const from = frame.samples[0]?.at ?? Number.POSITIVE_INFINITY
  const samples = [...(before?.samples.filter(({ at }) => at < from) ?? []), ...frame.samples]
  const told = new Set(frame.events.map(nameOf))
  const events = [...(before?.events.filter((event) => !told.has(nameOf(event))) ?? []), ...frame.events]
  events.sort((one, other) => one.at - other.at || one.id - other.id)
  return { frame, samples: samples.slice(-mostSamples), events: events.slice(-mostEvents) }
}

/** Processes that are not joined have stories of their own: behind a balancer, and after a restart, another one answers. */
function sameStory(before: Frame, now: Frame): boolean {
  if (before.joined !== now.joined) return false
  return now.joined || thisProcess(before)?.id === thisProcess(now)?.id
}

const nameOf = ({ at, id }: EventLine): string => `${at}/${id}`

export const thisProcess = (frame: Frame) => frame.processes.find(({ isThis }) => isThis)

/** A share of requests that no handler ran for, as `sluice stats` and the metrics have it. `null`: there were none. */
export function hitRate(of: Pick<Sample, 'hit' | 'stale' | 'miss' | 'collapsed' | 'bypass'>): number | null {
  const all = requests(of)
  return all === 0 ? null : (of.hit + of.stale + of.collapsed) / all
}

export const requests = (of: Pick<Sample, 'hit' | 'stale' | 'miss' | 'collapsed' | 'bypass'>): number =>
  of.hit + of.stale + of.miss + of.collapsed + of.bypass

export interface Lately {
  /** Each a second. */
  readonly requests: number
  readonly refused: number
  readonly errors: number
  readonly hitRate: number | null
}

const latelyMs = 10_000

/** What the last seconds were like; one sample alone would jump. */
export function lately(samples: readonly Sample[]): Lately {
  const until = samples.at(-1)?.at ?? 0
  const sum = { ms: 0, hit: 0, stale: 0, miss: 0, collapsed: 0, bypass: 0, refused: 0, errors: 0 }
  for (const sample of samples) {
    if (sample.at <= until - latelyMs) continue
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += sample[name]
  }
  const perSecond = (count: number): number => (sum.ms === 0 ? 0 : (count * 1000) / sum.ms)
  return {
    requests: perSecond(requests(sum)),
    refused: perSecond(sum.refused),
    errors: perSecond(sum.errors),
    hitRate: hitRate(sum),
  }
}
