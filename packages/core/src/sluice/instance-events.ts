import type { SluiceEvents } from '../base/events.ts'
import type { LimitEvents } from '../limit/events.ts'
import type { ShedEvents } from '../shed/shedder.ts'

/** What `sluice.on(name, listener)` can be told of. */
export type InstanceEvents = SluiceEvents & LimitEvents & ShedEvents
