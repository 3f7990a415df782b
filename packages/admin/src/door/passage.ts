import type { AuditEvent, InvalidationTarget, Limiter, OperatorAccess, SluiceStats } from '@sluice/core'
import type { DoorRules } from './options.ts'
import type { DoorRequest } from './request.ts'

/** What of an instance a door needs: every framework's has it. */
export interface Operated {
  purge(target: InvalidationTarget): Promise<void>
  expire(target: InvalidationTarget): Promise<void>
  stats(): SluiceStats
  peek: Limiter['peek']
  reset: Limiter['reset']
  ban: Limiter['ban']
  bans: Limiter['bans']
  unban: Limiter['unban']
}

/** A request that has come in, and what it may do. */
export interface Passage {
  readonly sluice: Operated
  readonly access: OperatorAccess
  readonly rules: DoorRules
  readonly request: DoorRequest
  /** The query below the mount. */
  readonly query: URLSearchParams
  /** Does something, and tells of it however it ended. @param act - answers how much was done */
  did(action: Pick<AuditEvent, 'action' | 'what'>, act: () => Promise<number>): Promise<number>
}

/** @param who - as `authorize` named him */
export function auditing(access: OperatorAccess, who: string | undefined): Passage['did'] {
  return async (said, act) => {
    try {
      const count = await act()
      access.audit({ ...said, who, count })
      return count
    } catch (error) {
      access.audit({ ...said, who, count: 0, error })
      throw error
    }
  }
}
