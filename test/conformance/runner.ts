import type { Backend } from '@sluice/core'
import { type Answer, type AppSpec, type TestApp, type TestHost, turn, until } from '../hosts/harness/host.ts'
import { type Case, type Line, pauseSeconds, type Request } from './case.ts'
import { type Arrival, lineText, Origin } from './origin.ts'

/** Why a case failed; `undefined` where it passed. */
export type Verdict = string | undefined

/**
 * Runs the cases on a host and tells what became of each. An application has one clock, and a case says where time
 * passes: those with the same pauses share an application and go through their requests side by side.
 */
export async function runCases(
  host: TestHost,
  cases: readonly Case[],
  backend?: () => Backend,
): Promise<ReadonlyMap<string, Verdict>> {
  const groups = new Map<string, Case[]>()
  for (const one of cases) {
    const shape = one.requests.map((request) => (request.pause ? 'p' : '-')).join('')
    groups.set(shape, [...(groups.get(shape) ?? []), one])
  }
  const verdicts = new Map<string, Verdict>()
  const boot = (origin: Origin): Promise<TestApp> => host.boot(specOf(origin, backend?.()))
  for (const group of groups.values()) await runGroup(boot, group, verdicts)
  return verdicts
}

/** How many requests are under way at a time: with all of them at once, a busy machine is too late for the last. */
const sideBySide = 25

/** A request that hangs fails its case and not the suite. */
const patienceMs = 20_000

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'M-SEARCH']

const specOf = (origin: Origin, backend: Backend | undefined): AppSpec => ({
  sluice: { cache: { heuristic: true }, backend },
  routes: methods.map((method) => ({ method, path: '/:id', cache: {}, handler: origin.handler })),
})

async function runGroup(
  boot: (origin: Origin) => Promise<TestApp>,
  cases: readonly Case[],
  verdicts: Map<string, Verdict>,
): Promise<void> {
  const origin = new Origin(cases)
  const app = await boot(origin)
  origin.clock = app.clock
  const runs = cases.map((one) => new Run(one, app, origin))
  const [{ requests }] = cases as [Case]
  for (let at = 0; at < requests.length; at++) {
    for (let i = 0; i < runs.length; i += sideBySide) {
      await Promise.all(runs.slice(i, i + sideBySide).map((run) => run.step(at)))
    }
    // Refreshes in the background end before time goes on.
    for (let i = 0; i < 20; i++) await turn()
    await until(() => origin.busy === 0)
    if (requests[at]!.pause) await app.clock.advance(pauseSeconds * 1000)
  }
  for (const run of runs) verdicts.set(run.id, run.verdict())
  await app.close()
}

/** One case on its way. */
class Run {
  readonly id: string
  readonly #requests: readonly Request[]
  readonly #app: TestApp
  readonly #origin: Origin
  readonly #answers: (Answer | undefined)[] = []
  #failure: Verdict

  constructor({ id, requests }: Case, app: TestApp, origin: Origin) {
    this.id = id
    this.#requests = requests
    this.#app = app
    this.#origin = origin
  }

  async step(at: number): Promise<void> {
    const request = this.#requests[at]!
    const query = request.query === undefined ? '' : `?${request.query}`
    const headers: Record<string, string | string[]> = { 'Req-Num': String(at + 1) }
    for (const line of request.send ?? []) {
      const value = this.#sent(line, at)
      const there = headers[line[0]]
      headers[line[0]] = there === undefined ? value : [there, value].flat()
    }
    const { method = 'GET', body } = request
    const signal = AbortSignal.timeout(patienceMs)
    const answer = await this.#app
      .request(`/${this.id}${query}`, { method, headers, body, signal })
      .catch((error: Error) => void this.#fail(`request ${at + 1}: ${error.message}`))
    this.#answers[at] = answer ?? undefined
    if (answer) this.#check(at, request, answer)
  }

  /** Dates of conditions are measured from the answer before. */
  #sent(line: Line, at: number): string {
    const before = Number(this.#answers[at - 1]?.header('server-now') ?? this.#app.clock.wall())
    const rfc850 = /^\{rfc850 (-?\d+)\}$/.exec(String(line[1]))
    return rfc850 ? obsoleteDate(before + Number(rfc850[1]) * 1000) : lineText(line, before)
  }

  #fail(reason: string): void {
    this.#failure ??= reason
  }

  #check(at: number, request: Request, answer: Answer): void {
    const count = Number(answer.header('server-request-count') ?? Number.NaN)
    const bare304 = answer.status === 304 && Number.isNaN(count)
    const number = at + 1
    if (request.type === 'cached' && !bare304 && !(count < number)) this.#fail(`answer ${number} is not from the cache`)
    if (request.type === 'not_cached' && count !== number) this.#fail(`answer ${number} is from the cache`)
    const status = request.wantStatus === undefined ? (request.status ?? 200) : request.wantStatus
    if (status !== null && answer.status !== status) {
      this.#fail(`answer ${number} has status ${answer.status}, not ${status}`)
    }
    for (const wanted of request.wantLines ?? []) {
      const value = answer.header(wanted[0])
      if (wanted[1] === '>') {
        if (!(Number.parseInt(value ?? '', 10) > (wanted[2] as number)))
          this.#fail(`answer ${number}: ${wanted[0]} is ${value}`)
      } else {
        const expected = lineText(wanted as Line, Number(answer.header('server-now')))
        if (value !== expected) this.#fail(`answer ${number}: ${wanted[0]} is ${value}, not ${expected}`)
      }
    }
    for (const unwanted of request.wantMissing ?? []) {
      const [name, value] = unwanted.split('=') as [string, string?]
      const there = answer.header(name)
      if (value === undefined ? there !== undefined : there?.includes(value)) {
        this.#fail(`answer ${number} has ${name}: ${there}`)
      }
    }
    if (request.wantInterim) this.#checkInterim(number, request.wantInterim, answer)
    if (request.anyText || [204, 304].includes(answer.status)) return
    const text = request.wantText ?? request.text ?? this.id
    if (answer.text !== text) this.#fail(`answer ${number} says ${answer.text}, not ${text}`)
  }

  #checkInterim(number: number, wanted: NonNullable<Request['interim']>, answer: Answer): void {
    for (const [i, [status, fields]] of wanted.entries()) {
      const got = answer.interim[i]
      if (got !== status) this.#fail(`answer ${number}: interim status ${got}, not ${status}`)
      for (const [name, value] of Object.entries(fields ?? {})) {
        if (answer.interimFields[i]?.[name] !== value) this.#fail(`answer ${number}: interim field ${name} is missing`)
      }
    }
    if (answer.interim.length > wanted.length) this.#fail(`answer ${number} has more interim responses than that`)
  }

  /** The client's side is checked; now what the origin saw of it, in the order it arrived. */
  verdict(): Verdict {
    const arrivals = this.#origin.arrivals(this.id)
    let seen = 0
    for (const [at, request] of this.#requests.entries()) {
      if (request.type === 'cached' || request.gone) continue
      const arrival = arrivals[seen++]
      const answer = this.#answers[at]
      if (arrival && answer) this.#checkArrival(at + 1, request, arrival, answer)
      else if (request.type || request.wantSent) this.#fail(`request ${at + 1} never came to the origin`)
    }
    return this.#failure
  }

  #checkArrival(number: number, request: Request, arrival: Arrival, answer: Answer): void {
    if (request.type === 'not_cached' && arrival.request !== number) this.#fail(`answer ${number} is from the cache`)
    const condition = { etag_validated: 'if-none-match', lm_validated: 'if-modified-since' }[request.type as string]
    if (condition && (arrival.sent[condition] === undefined || arrival.status !== 304)) {
      this.#fail(`request ${number} should have been conditional`)
    }
    for (const [name, value] of request.wantSent ?? []) {
      if (arrival.sent[name] !== value) this.#fail(`request ${number}: ${name} is ${arrival.sent[name]}, not ${value}`)
    }
    for (const [name, value] of arrival.said) {
      const got = answer.header(name)
      if (got !== value) this.#fail(`answer ${number}: ${name} is ${got}, not ${value} as it was said`)
    }
  }
}

/** Sunday, 06-Nov-94 08:49:37 GMT (RFC 9110 §5.6.7). */
function obsoleteDate(ms: number): string {
  const [, , day, month, year, time] = /^(\w+), (\d+) (\w+) \d\d(\d\d) ([\d:]+)/.exec(new Date(ms).toUTCString())!
  const weekday = new Date(ms).toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' })
  return `${weekday}, ${day}-${month}-${year} ${time} GMT`
}
