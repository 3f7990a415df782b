import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { optionError } from '@sluice/core'
import type { WarmOptions } from './options.ts'
import { describeCounts, type LineOutput, progressLine } from './progress-line.ts'
import type { WarmSource } from './source.ts'
import { warm } from './warm.ts'

const usage = `Usage: sluice warm <url> [path...] [options]

Fills the cache of a running application by asking for its URLs.

What to ask for, beside the paths given:
  --sitemap <where>     a path of the application, an http(s) URL or a file
  --log <file>          an access log (common or combined format, .gz too), the most frequent first
  --top <n>             only so many of the log
  --list <file>         one URL on each line

How:
  --concurrency <n>     requests at a time (4)
  --delay <duration>    pause between two requests, e.g. 50ms (0)
  --timeout <duration>  for one answer (30s)
  --retries <n>         after 429, 503 and broken connections (3)
  --host <name>         the Host that clients send
  --header <field>      'Name: value', repeated for several
  --resume <file>       notes what is done, and goes on there
  --quiet               no progress line
  --help

Exit code: 0 done, 1 something failed or it was stopped, 2 used wrongly.
`

export interface CommandOutput {
  readonly out: LineOutput
  readonly error: LineOutput
}

/** `sluice …`: runs the command and answers its exit code. @param args - without the program's own name */
export async function runCommand(args: readonly string[], io: CommandOutput, signal?: AbortSignal): Promise<number> {
  const misused = (message: string): number => {
    io.error.write(`sluice: ${message}\n\n${usage}`)
    return 2
  }
  let read: ReturnType<typeof readArguments>
  try {
    read = readArguments(args)
  } catch (error) {
    return misused((error as Error).message)
  }
  const { values, positionals } = read
  const [command, target, ...paths] = positionals
  if (values.help) {
    io.out.write(usage)
    return 0
  }
  if (command !== 'warm') return misused(command ? `there is no command \`${command}\`` : 'a command is missing')
  if (target === undefined) return misused('the URL of the application is missing')
  const sources = sourcesOf(values, paths)
  if (sources.length !== 1) return misused('one of paths, --sitemap, --log and --list says what to ask for')
  try {
    const counts = await warm(target, sources[0]!, {
      ...optionsOf(values),
      ...(values.quiet ? {} : { onProgress: progressLine(io.error) }),
      ...(signal ? { signal } : {}),
    })
    io.out.write(`${describeCounts(counts)}\n`)
    if (!signal?.aborted) return counts.failed ? 1 : 0
    io.error.write(`Stopped.${values.resume ? ' The same command goes on from here.' : ''}\n`)
    return 1
  } catch (error) {
    io.error.write(`sluice: ${(error as Error).message}\n`)
    return (error as { code?: string }).code?.startsWith('ERR_SLUICE') ? 2 : 1
  }
}

type Values = ReturnType<typeof readArguments>['values']

function readArguments(args: readonly string[]) {
  const text = { type: 'string' } as const
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sitemap: text,
      log: text,
      top: text,
      list: text,
      concurrency: text,
      delay: text,
      timeout: text,
      retries: text,
      host: text,
      header: { type: 'string', multiple: true },
      resume: text,
      quiet: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}

function sourcesOf(values: Values, paths: readonly string[]): WarmSource[] {
  const { sitemap, log, list } = values
  return [
    ...(paths.length ? [paths] : []),
    // A file where there is one: a path of the application would hardly be one here too.
    ...(sitemap ? [{ sitemap: existsSync(sitemap) ? pathToFileURL(sitemap) : sitemap }] : []),
    ...(log ? [{ log, top: numberOf(values.top) }] : []),
    ...(list ? [{ list }] : []),
  ]
}

function optionsOf(values: Values): WarmOptions {
  const { delay, timeout, host, resume } = values
  const headers = Object.fromEntries((values.header ?? []).map(splitHeader))
  return {
    concurrency: numberOf(values.concurrency),
    retries: numberOf(values.retries),
    delay: durationOf(delay),
    timeout: durationOf(timeout),
    host,
    resume,
    ...(values.header ? { headers } : {}),
  }
}

/** `NaN` for what is no number: the option's own rule says what it must be. */
const numberOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text))

/** A bare number is milliseconds. */
const durationOf = (text: string | undefined): string | number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : text

function splitHeader(field: string): [string, string] {
  const colon = field.indexOf(':')
  if (colon <= 0) throw optionError('--header', "must be 'Name: value'", field)
  return [field.slice(0, colon).trim(), field.slice(colon + 1).trim()]
}
