import type { Entry, History, Loss } from './history.ts'
import { keyOf, type PolicyName, type Promised, promised, routes } from './policies.ts'

/**
 * Redis counts in whole milliseconds: two charges in different windows can be that much closer than a window, and
 * clocks of a kernel are not one to the microsecond.
 */
const roundingMs = 2

/** How soon Redis is used again, once it is back: half a second, and what a busy machine adds. Milliseconds. */
export const recoveryMs = 1_500

/** How long a client waits for its answer at most, if its process runs. Milliseconds. */
export const answerMs = 3_000

/**
 * The judge: what of a history is against what the guide says. It knows nothing of how limits are counted. An entry is charged
 * somewhere between being asked and being admitted; only what is certain is a violation, so a window is only held to
 * contain what was both asked and admitted in it.
 *
 * The guide widens the limits for faults, and so does this, by no more:
 *
 * - What Redis has lost (restarted empty, FLUSHALL, a failover without the last writes) is as if it had never been charged:
 *   entries of a loss do not count in windows that end behind it. Everything else in them does.
 * - While Redis is out, `open` admits, `closed` refuses with 503, and `local` admits its share in each process by itself. Entries
 *   decided so are on top, and held against their own bounds: an outage must be under way, and of `local` each process must have
 *   kept its share in every window.
 * - Units taken in advance may be used a sixteenth of the window after the state they were charged in was lost.
 * - A permit is out until its request has ended or its process was killed.
 *
 * @returns a line for each violation
 */
export function checkLimits(history: History): string[] {
  return [
    ...Object.entries(promised).flatMap(([policy, promise]) => overAdmitted(history, policy as PolicyName, promise)),
    ...unannounced(history),
    ...unexplained(history),
  ]
}

interface Charge {
  readonly id: string
  readonly fromMs: number
  readonly toMs: number
  readonly endMs: number
}

/** The entries of a policy by who keeps count of them: Redis by key, or a process by itself, by key. */
function overAdmitted({ entries, losses }: History, policy: PolicyName, promise: Promised): string[] {
  const counted = new Map<string, { charges: Charge[]; most: number; worker: string | undefined }>()
  for (const entry of entries) {
    if (entry.admittedMs === undefined || !(routes[entry.route] as readonly PolicyName[]).includes(policy)) continue
    if (promise.counted && !entry.counted) continue
    // Who was not told of, or nothing that is known, was Redis: then it counts.
    const via = entry.via?.[policy] ?? 'store'
    if (via === 'open') continue
    const worker = via === 'local' ? entry.worker : undefined
    const name = `${keyOf(policy, entry.client)}${worker === undefined ? '' : ` in ${worker} alone`}`
    let one = counted.get(name)
    if (!one) {
      one = { charges: [], most: worker === undefined ? promise.most : promise.local, worker }
      counted.set(name, one)
    }
    one.charges.push({
      id: entry.id,
      fromMs: entry.askedMs ?? entry.sentMs,
      toMs: entry.admittedMs,
      endMs: entry.endedMs ?? Number.POSITIVE_INFINITY,
    })
  }
  return [...counted].flatMap(([key, { charges, most, worker }]) => {
    const lost = losses
      .filter((loss) => loss.worker === worker)
      .map((loss) => ({ ...loss, untilMs: loss.untilMs + (worker === undefined ? (promise.inAdvanceMs ?? 0) : 0) }))
    const found =
      promise.kind === 'permits' ? mostAtOnce(charges, most, lost) : mostInWindow(charges, promise, most, lost)
    return found === undefined ? [] : [`${policy} of ${key}: ${found}`]
  })
}

const forgets = (loss: Loss, { fromMs, toMs }: Charge): boolean => toMs >= loss.sinceMs && fromMs <= loss.untilMs

/** The first window in which more was admitted than may be. */
function mostInWindow(
  charges: readonly Charge[],
  { kind, windowMs = 0, perMs = 0 }: Promised,
  most: number,
  losses: readonly Loss[],
): string | undefined {
  const byEnd = [...charges].sort((a, b) => a.toMs - b.toMs)
  // A bucket is held to its word over spans in which it fills up several times.
  const longestMs = kind === 'bucket' ? (3 * most) / perMs : windowMs - roundingMs
  const allowed = (ms: number): number => (kind === 'bucket' ? most + (ms + roundingMs) * perMs : most)
  for (const first of charges) {
    const until = first.fromMs + longestMs
    let inside: Charge[] = []
    let next = 0
    const ahead = losses.filter(({ fromMs, untilMs }) => untilMs >= first.fromMs && fromMs < until)
    for (let i = lowest(byEnd, first.fromMs); i < byEnd.length && byEnd[i]!.toMs < until; i++) {
      const charge = byEnd[i]!
      const passed = ahead.filter(({ fromMs }) => fromMs <= charge.toMs)
      if (passed.length > next) {
        next = passed.length
        inside = inside.filter((one) => !passed.some((loss) => forgets(loss, one)))
      }
      if (charge.fromMs < first.fromMs || passed.some((loss) => forgets(loss, charge))) continue
      inside.push(charge)
      const spanMs = charge.toMs - first.fromMs
      if (inside.length > allowed(spanMs)) {
        return `${inside.length} within ${Math.ceil(spanMs)} ms, where ${Math.floor(allowed(spanMs))} may be (from ${first.id} to ${charge.id})`
      }
    }
  }
  return undefined
}

/** Where a list that ascends by `toMs` reaches that time. */
function lowest(list: readonly Charge[], ms: number): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle]!.toMs < ms) low = middle + 1
    else high = middle
  }
  return low
}

/** The first moment at which more were certainly held than may be. */
function mostAtOnce(charges: readonly Charge[], most: number, losses: readonly Loss[]): string | undefined {
  for (const last of charges) {
    const passed = losses.filter(({ fromMs }) => fromMs <= last.toMs)
    const held = charges.filter(
      (one) =>
        one === last ||
        (one.toMs <= last.fromMs && one.endMs > last.toMs && !passed.some((loss) => forgets(loss, one))),
    )
    // One that was over as it came has held nothing, as far as anybody can know.
    if (last.endMs > last.toMs && held.length > most)
      return `${held.length} at once, where ${most} may be (${held.map(({ id }) => id).join(', ')})`
  }
  return undefined
}

/** Decisions made without Redis although it was there, and answers of 5xx that nobody has announced. */
function unannounced({ entries, outages }: History): string[] {
  const isOut = (entry: Entry, fromMs: number, toMs: number): boolean =>
    outages.some(
      (outage) =>
        (outage.worker === undefined || outage.worker === entry.worker) &&
        outage.fromMs <= toMs &&
        outage.untilMs + recoveryMs >= fromMs,
    )
  return entries.flatMap((entry) => {
    const found: string[] = []
    const fromMs = entry.askedMs ?? entry.sentMs
    const toMs = entry.admittedMs ?? entry.refusedMs ?? entry.answeredMs ?? fromMs
    const without = Object.entries(entry.via ?? {}).filter(([, via]) => via !== 'store')
    if (without.length > 0 && !isOut(entry, fromMs, toMs))
      found.push(`${entry.id} of ${entry.worker} was decided without Redis: ${without.join(' ')}`)
    for (const [policy, via] of without) {
      if (via !== promised[policy as PolicyName].onOutage) found.push(`${entry.id}: ${policy} was ${via}`)
      if (via === 'closed' && entry.admittedMs !== undefined) found.push(`${entry.id}: closed, and admitted`)
    }
    const { status } = entry
    if (status === undefined) return found
    const closed = routes[entry.route].some((policy) => promised[policy].onOutage === 'closed')
    if (status === 503 ? !closed || !isOut(entry, fromMs, toMs) : ![200, 401, 429].includes(status))
      found.push(`${entry.id} was answered ${status} (/${entry.route})`)
    if (status === 429 && entry.admittedMs !== undefined) found.push(`${entry.id} was refused, and handled`)
    if ((status === 200 || status === 401) && entry.admittedMs === undefined)
      found.push(`${entry.id} of ${entry.worker} was answered ${status}, and never admitted (/${entry.route})`)
    return found
  })
}

/**
 * Refusals for which nothing that can have been charged accounts: a refused request charges nothing, and what was charged comes
 * back in time. What was lost may still be counted in what a process remembers, so losses explain nothing away here.
 *
 * Of several policies one refuses, and what the answer says of the others is as old as its refusal: a process repeats it
 * until the key that is used up has something again (docs/guide/redis-limits.md, "Refused keys"). So each of the policies that
 * an answer names must have been used up not longer ago than that, and one of them must be now. One that is not judged
 * here may be.
 */
function unexplained({ entries }: History): string[] {
  const byKey = new Map<string, Entry[]>()
  for (const entry of entries) {
    for (const policy of routes[entry.route] as readonly PolicyName[]) {
      if (!promised[policy].explained) continue
      const name = `${policy} ${entry.client}`
      const list = byKey.get(name)
      if (list) list.push(entry)
      else byKey.set(name, [entry])
    }
  }
  return entries.flatMap((entry) => {
    if (entry.refusedMs === undefined) return []
    const named = (entry.violated ?? []) as readonly PolicyName[]
    const byStore = named.filter((policy) => entry.via?.[policy] === 'store')
    const [found, former]: [string[], string[]] = [[], []]
    for (const policy of byStore) {
      const { explained } = promised[policy]
      if (!explained) continue
      const can = (ageMs: number): number =>
        mayHaveBeen(byKey.get(`${policy} ${entry.client}`)!, entry, explained.withinMs + ageMs)
      if (can(0) >= explained.charges) continue
      const line = `${entry.id}: refused by ${policy}, and only ${can(0)} can have been charged`
      const ageMs = Math.max(0, ...byStore.filter((other) => other !== policy).map(comesBackMs))
      if (can(ageMs) >= explained.charges) former.push(line)
      else found.push(line)
    }
    return former.length > 0 && former.length === named.length ? former : found
  })
}

/** How long a key that is used up has nothing at most. A permit comes back at any time, so nothing is repeated for it. */
const comesBackMs = (policy: PolicyName): number => {
  const { kind, windowMs = 0, explained } = promised[policy]
  return kind === 'permits' ? 0 : (explained?.withinMs ?? (windowMs * 17) / 16)
}

/** How many can have been charged that long before a request that was refused, or since. */
const mayHaveBeen = (list: readonly Entry[], refused: Entry, withinMs: number): number =>
  list.filter(
    (other) =>
      mayHaveCharged(other) &&
      (other.askedMs ?? other.sentMs) <= refused.refusedMs! &&
      // Until an answer is there, and a second for one that is too late, nobody knows that nothing was charged.
      lastMs(other) >= refused.askedMs! - withinMs - roundingMs,
  ).length

/** Whatever Redis has not refused itself. With keys of several subjects, also what it took and then gave back. */
const mayHaveCharged = ({ refusedMs, via, route }: Entry): boolean =>
  refusedMs === undefined || route === 'everyone' || Object.values(via ?? {}).some((one) => one !== 'store')

const lateMs = 3_000

/** When it can have been charged at the latest. */
const lastMs = ({ admittedMs, via, sentMs, answeredMs }: Entry): number =>
  admittedMs !== undefined && Object.values(via ?? {}).every((one) => one === 'store')
    ? admittedMs
    : (admittedMs ?? answeredMs ?? sentMs) + lateMs
