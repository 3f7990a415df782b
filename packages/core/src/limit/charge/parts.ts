import type { Clock } from '../../base/clock.ts'
import type { Identity } from '../../exchange/client/identity.ts'
import type { Delays } from '../delay/delays.ts'
import type { LimitSink } from '../events.ts'
import type { LimitCounters } from '../limiter-stats.ts'
import type { Callbacks } from '../policy/callbacks.ts'
import type { Advice } from '../subject/advice.ts'
import type { Naming } from '../subject/naming.ts'
import type { Charger } from './charger.ts'
import type { Charges } from './charges.ts'
import type { Pricing } from './pricing.ts'
import type { RequestMarks } from './request-marks.ts'

/** What the admissions of one limiter share: one for each step, and what all need. */
export interface LimiterParts {
  readonly clock: Clock
  readonly sink: LimitSink
  readonly callbacks: Callbacks
  readonly naming: Naming
  readonly pricing: Pricing
  readonly charges: Charges
  readonly charger: Charger
  readonly delays: Delays
  readonly marks: RequestMarks
  readonly advice: Advice
  /** The names of policies that are split by route. */
  readonly split: Set<string>
  readonly identity: Identity | undefined
  readonly counters: LimitCounters
}
