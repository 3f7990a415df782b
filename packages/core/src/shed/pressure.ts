import type { Load } from './load.ts'

/** What a request is worth. The lowest are shed first. */
export type Priority = 'critical' | 'default' | 'sheddable'

/** 0: nothing is shed; 1: `sheddable`; 2: `default` too; 3: `critical` too. */
export type Level = 0 | 1 | 2 | 3

/** From which level a priority is shed. */
export const shedFrom: Readonly<Record<Priority, Level>> = Object.freeze({ sheddable: 1, default: 2, critical: 3 })

/** Each level begins at so many times the delay that is asked for. */
const delayFactor = [0, 1, 2, 5] as const

/** A level is left only when the load has been below this part of what began it … */
const calm = 0.7

/** … for this long, and then for the level below: shedding relieves the load, and must not end at once because of that. */
const holdMs = 2_000

export interface PressureLimits {
  readonly maxDelayMs: number
  /** Above it `sheddable` requests are shed. Never more than those: a loop that is busy and still quick is well used. */
  readonly maxUtilisation: number
}

/** Turns the load into a level, with hysteresis: up at once, down one by one and late. */
export class Pressure {
  readonly #limits: PressureLimits
  #level: Level = 0
  #calmSinceMs: number | undefined

  constructor(limits: PressureLimits) {
    this.#limits = limits
  }

  get level(): Level {
    return this.#level
  }

  observe(load: Load, nowMs: number): Level {
    const reached = this.#levelAt(load, 1)
    if (reached > this.#level) this.#level = reached
    if (this.#levelAt(load, calm) >= this.#level) {
      this.#calmSinceMs = undefined
    } else {
      this.#calmSinceMs ??= nowMs
      if (nowMs - this.#calmSinceMs >= holdMs) {
        this.#level = (this.#level - 1) as Level
        this.#calmSinceMs = nowMs
      }
    }
    return this.#level
  }

  /** The level this load stands for, with every threshold at `part` of its height. */
  #levelAt({ delayMs, utilisation }: Load, part: number): Level {
    const { maxDelayMs, maxUtilisation } = this.#limits
    for (const level of [3, 2, 1] as const) if (delayMs >= maxDelayMs * delayFactor[level] * part) return level
    // Utilisation says little far below its limit: near it is calm enough.
    return utilisation >= maxUtilisation - (1 - part) / 5 ? 1 : 0
  }
}
