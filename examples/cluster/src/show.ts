import { randomInt } from 'node:crypto'
import { type Answer, ask } from './ask.ts'

const base = process.argv[2] ?? 'http://127.0.0.1:3000'
// Linux has a whole network of its own addresses: with a new one, no earlier run has used up the limits.
const from =
  process.platform === 'linux' && new URL(base).hostname === '127.0.0.1'
    ? `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
    : undefined

/** How often each process answered, and how often in a certain way. */
function perProcess(answers: readonly Answer[], way: (answer: Answer) => boolean): [string, number, number][] {
  const rows = new Map<string, [string, number, number]>()
  for (const answer of answers) {
    const row = rows.get(answer.by) ?? [answer.by, 0, 0]
    row[1]++
    if (way(answer)) row[2]++
    rows.set(answer.by, row)
  }
  return [...rows.values()].sort()
}

/** Some at a time, as clients come. */
async function many(count: number, work: (i: number) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  let next = 0
  const client = async () => {
    while (next < count) answers.push(await work(next++))
  }
  await Promise.all(Array.from({ length: 20 }, client))
  return answers
}

const pages = ['DE', 'FR', 'IT', 'ES', 'PT', 'NL', 'BE', 'AT', 'CH', 'DK'].map(
  (country) => `?country=${country}&limit=5`,
)

async function main(): Promise<void> {
  const reads = await many(300, (i) => ask(`${base}/cities${pages[i % pages.length]}`, { from }))
  console.log(`300 requests for ${pages.length} pages:\n`)
  console.log('  process    requests   hits   hit ratio')
  for (const [by, all, hits] of perProcess(reads, ({ cacheStatus }) => /; hit/.test(cacheStatus))) {
    console.log(`  ${by.padEnd(10)} ${cell(all, 8)} ${cell(hits, 6)} ${cell(((100 * hits) / all).toFixed(0), 9)} %`)
  }
  const fills = reads.filter(({ cacheStatus }) => /; stored/.test(cacheStatus)).length
  console.log(`\n  ${fills} of them ran a handler and stored what it answered, once for all processes.\n`)

  const attempts = await many(300, () =>
    ask(`${base}/login`, { method: 'POST', json: { user: 'ada', password: 'a guess' }, from }),
  )
  const admitted = ({ status }: Answer) => status === 401
  console.log('300 wrong passwords, against one limit for all processes (100 per 15 minutes):\n')
  console.log('  process    requests   admitted')
  for (const [by, all, passed] of perProcess(attempts, admitted)) {
    console.log(`  ${by.padEnd(10)} ${cell(all, 8)} ${cell(passed, 10)}`)
  }
  console.log(`\n  admitted in all: ${attempts.filter(admitted).length}`)
}

const cell = (value: number | string, width: number) => String(value).padStart(width)

main().catch((error: NodeJS.ErrnoException) => {
  const hint =
    error.code === 'ECONNREFUSED' ? `Nobody listens on ${base}: start the cluster, and give its address.` : error
  console.error(hint)
  process.exit(1)
})
