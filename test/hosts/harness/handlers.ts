import type { Ctx, Step } from './app.ts'
import type { RequestFields } from './client.ts'

export interface Saying {
  readonly status?: number
  readonly fields?: RequestFields
  readonly body?: string | Uint8Array | object
}

/** A handler that always says the same. */
export const says =
  ({ status = 200, fields = {}, body = 'hello' }: Saying): Step =>
  (c) => {
    for (const [name, value] of Object.entries(fields)) c.set(name, value)
    c.status(status).send(status === 204 || status === 304 ? undefined : body)
  }

/** A handler that counts its runs; without one of its own, it says `run 1`, `run 2`, … */
export function counted(step?: (c: Ctx, run: number) => unknown): Step & { readonly runs: number } {
  let runs = 0
  const counting = (c: Ctx): unknown => {
    runs++
    return step ? step(c, runs) : c.send(`run ${runs}`)
  }
  return Object.defineProperty(counting, 'runs', { get: () => runs }) as typeof counting & { readonly runs: number }
}

/** A body of these pieces. */
export async function* pieces(...list: readonly (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  yield* list
}

/** A date of HTTP. */
export const date = (ms: number): string => new Date(ms).toUTCString()
