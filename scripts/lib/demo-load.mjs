import { parseArgs } from 'node:util'
import { say, UserError } from './say.mjs'

/** How often it says what came of it. */
const tellMs = 5_000

/** No more than these are under way: what a slow API is not asked now, it is not asked later either. */
const mostAtOnce = 200

const countries = ['NL', 'DE', 'FR', 'NO', 'US', 'IN', 'BR', 'JP', 'NG', 'GB']
const ids = [2988507, 3016292, 2643743, 2950159, 3143244, 2759794, 5128581, 1850147, 3451190, 2332459]
const names = ['spring', 'san', 'new', 'ville', 'port', 'burg', 'lake', 'mont']

/**
 * What clients ask for, and how often of a hundred: hits most of all, pages that few have asked for, one page by several at once,
 * (which are collapsed where the database is a server, `DATABASE_URL`: the embedded one holds up the process), a change that purges, passwords that are wrong until they are limited, and what is never stored.
 *
 * @type {readonly (readonly [share: number, ask: () => readonly Question[]])[]}
 */
const mix = [
  [55, () => [{ path: `/cities/${pick(ids)}` }]],
  [12, () => [{ path: `/cities?country=${pick(countries)}&limit=50` }]],
  [8, () => [{ path: `/cities/${pick(ids)}/nearby` }]],
  [6, () => [{ path: `/cities?q=${pick(names)}&limit=${1 + Math.floor(Math.random() * 90)}` }]],
  [6, () => Array.from({ length: 5 }, same({ path: `/cities?country=${pick(countries)}&limit=${50 + minute()}` }))],
  [5, () => [{ path: '/countries' }]],
  [3, () => [{ path: `/cities/${Math.floor(Math.random() * 1e6)}` }]],
  [2, () => [{ path: '/countries/largest' }]],
  [2, () => [{ path: '/login', method: 'POST', body: { user: 'ada', password: 'guess' } }]],
  [
    1,
    () => [
      { path: `/cities/${pick(ids)}`, method: 'PATCH', body: { population: 1e6 + Math.floor(Math.random() * 1e6) } },
    ],
  ],
]

/** @typedef {{ path: string, method?: string, body?: object }} Question */

/**
 * Asks until the time is over or Ctrl-C is pressed.
 *
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code
 * @throws {UserError} for arguments that make no sense, and where nobody listens
 */
export async function demoLoad(args) {
  const { base, rate, forMs } = readArguments(args)
  await greet(base)
  say(
    `Asking ${base} ${rate} times a second${forMs === Number.POSITIVE_INFINITY ? '' : `, for ${forMs / 1_000} s`}. Ctrl-C stops.`,
  )
  const counts = new Map()
  const underWay = new Set()
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
  const beganMs = performance.now()
  let toldMs = beganMs
  let asked = 0
  while (!stopping.signal.aborted && performance.now() - beganMs < forMs) {
    const due = ((performance.now() - beganMs) / 1_000) * rate
    while (asked < due) {
      for (const question of draw()) {
        asked++
        if (underWay.size >= mostAtOnce) continue
        const one = ask(base, question, counts).finally(() => underWay.delete(one))
        underWay.add(one)
      }
    }
    if (performance.now() - toldMs >= tellMs) {
      toldMs = performance.now()
      console.log(lineOf(counts))
    }
    await pause(20, stopping.signal)
  }
  await Promise.all(underWay)
  for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop)
  console.log(lineOf(counts))
  return (counts.get('failed') ?? 0) === [...counts.values()].reduce((all, count) => all + count, 0) ? 1 : 0
}

/** @param {readonly string[]} args */
function readArguments(args) {
  const options = {
    rate: { type: 'string' },
    for: { type: 'string' },
    url: { type: 'string' },
    help: { type: 'boolean' },
  }
  /** @type {any} */
  let values
  try {
    values = parseArgs({ args: [...args], options: /** @type {any} */ (options) }).values
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message}\n${usage}`)
  }
  if (values.help) throw new UserError(usage)
  const rate = Number(values.rate ?? 50)
  const seconds = values.for === undefined ? Number.POSITIVE_INFINITY : Number(values.for)
  if (!(rate > 0 && rate <= 10_000))
    throw new UserError(`--rate must be a number from 1 to 10000, not "${values.rate}".`)
  if (!(seconds > 0)) throw new UserError(`--for must be a number of seconds, not "${values.for}".`)
  const url = String(values.url ?? 'http://localhost:3000')
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new UserError(`--url must be the URL of the API, not "${url}".`)
  return { base: url.replace(/\/+$/, ''), rate, forMs: seconds * 1_000 }
}

const usage = 'npm run demo:load -- [--rate 50] [--for SECONDS] [--url http://localhost:3000]'

/** @param {string} base */
async function greet(base) {
  let answer
  try {
    answer = await fetch(`${base}/`, { signal: AbortSignal.timeout(5_000) })
    await answer.text()
  } catch {
    throw new UserError(`Nothing listens at ${base}. Start the API in another terminal: npm start`)
  }
}

/**
 * @param {string} base
 * @param {Question} question
 * @param {Map<string, number>} counts
 */
async function ask(base, { path, method = 'GET', body }, counts) {
  const count = (/** @type {string} */ what) => counts.set(what, (counts.get(what) ?? 0) + 1)
  try {
    const response = await fetch(base + path, {
      method,
      headers: { 'Accept-Encoding': 'br, gzip', ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    await response.arrayBuffer()
    count(resultOf(response, method))
  } catch {
    count('failed')
  }
}

/**
 * @param {Response} response
 * @param {string} method
 */
function resultOf({ status, headers }, method) {
  if (status === 429) return 'limited'
  if (status === 503) return 'shed'
  if (method === 'PATCH') return status < 300 ? 'changed' : 'other'
  const cached = headers.get('cache-status') ?? ''
  if (/\bhit\b/.test(cached)) return 'hit'
  if (/\bcollapsed\b/.test(cached)) return 'collapsed'
  return /\bfwd=/.test(cached) ? 'miss' : 'other'
}

/** @param {ReadonlyMap<string, number>} counts */
function lineOf(counts) {
  const names = ['hit', 'collapsed', 'miss', 'changed', 'limited', 'shed', 'other', 'failed']
  return names.flatMap((name) => (counts.has(name) ? [`${name} ${counts.get(name)}`] : [])).join(', ') || 'nothing yet'
}

let drawn = 0

/**
 * In steps of the golden section, which fall evenly whatever their number: in a short run, too, there is something of everything.
 *
 * @returns {readonly Question[]}
 */
function draw() {
  drawn++
  let at = (drawn * 61.803398875) % 100
  for (const [share, questions] of mix) {
    if (at < share) return questions()
    at -= share
  }
  return []
}

/**
 * @template T
 * @param {readonly T[]} list
 * @returns {T}
 */
const pick = (list) => /** @type {T} */ (list[Math.floor(Math.random() * list.length)])

/** @param {Question} question */
const same = (question) => () => question

/** Another page each minute: its first clients come at the same moment, and one handler answers them all. */
const minute = () => Math.floor(Date.now() / 60_000) % 50

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve(undefined)
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
