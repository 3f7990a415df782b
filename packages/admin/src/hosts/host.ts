import type { DoorAnswer } from '../door/answer.ts'
import type { DoorRequest } from '../door/request.ts'

/** What a host hands requests to, and what it needs to know. */
export interface Host {
  /** The mount, where the framework leaves it in the URL. */
  readonly path: string
  /** Never rejects. */
  answer(request: DoorRequest): Promise<DoorAnswer>
}
