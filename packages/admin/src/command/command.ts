import { type InvalidationTarget, suggest } from '@sluice/core'
import { warmCommand } from '@sluice/node'
import { targetsOf } from '../ways/purge.ts'
import { type CommandName, isCommand, Misused, readArguments } from './args.ts'
import { backendOf, onRedis } from './direct.ts'
import { diagnose, type Facts, findingsText, isHealthy } from './doctor.ts'
import { limitsCommand } from './limits.ts'
import { line, type Output, table } from './print.ts'
import { remoteOf, type Said, timeoutOf } from './remote.ts'
import { statsCommand } from './stats.ts'
import type { Task } from './task.ts'
import { usage, usages } from './usage.ts'

const commands: Readonly<Record<CommandName, (task: Task) => Promise<number>>> = {
  purge: purgeCommand,
  why: whyCommand,
  stats: statsCommand,
  limits: limitsCommand,
  bans: bansCommand,
  doctor: doctorCommand,
}

/**
 * `sluice …`: runs a command and answers its exit code.
 *
 * @param args - without the program's own name
 */
export async function runCommand(
  args: readonly string[],
  io: Output,
  signal?: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const [name = '', ...rest] = args
  if (name === 'warm') return warmCommand(rest.length === 0 ? ['warm'] : args, io, signal)
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out.write(usage)
    return 0
  }
  if (!isCommand(name)) {
    const known = [...Object.keys(commands), 'warm']
    io.error.write(
      `sluice: ${name ? `there is no command \`${name}\`. ${suggest(name, known)}` : 'a command is missing'}\n\n${usage}`,
    )
    return 2
  }
  try {
    const given = readArguments(name, rest)
    if (given.values.help) {
      io.out.write(usages[name]!)
      return 0
    }
    return await commands[name]({ given, env, io, signal })
  } catch (error) {
    const { message } = error as Error
    io.error.write(error instanceof Misused ? `sluice: ${message}\n\n${usages[name]}` : `sluice: ${message}\n`)
    return error instanceof Misused ? 2 : 1
  }
}

async function purgeCommand({ given, env, io, signal }: Task): Promise<number> {
  const { values, positionals: urls } = given
  const { tag: tags = [], route: routes = [], all = false, yes = false, soft = false } = values
  const named = tags.length + routes.length + urls.length
  if (named === 0 && !all) throw new Misused('nothing is named: give URLs, --tag, --route or --all --yes')
  if (all && named > 0) throw new Misused('--all stands alone')
  if (all && !yes) throw new Misused('--all invalidates everything there is: add --yes')
  const body = all ? { all, confirm: 'everything', soft } : { tags, urls, routes, soft }
  const said: Said = values.redis
    ? await onRedis(given, {}, env, async ({ cache }) => {
        const byRoute = routes.map((route) => ({ route }))
        const targets: InvalidationTarget[] = all ? [{ all: true }] : targetsOf(tags, urls, byRoute)
        await Promise.all(targets.map((target) => cache.invalidate(target, soft ? 'expire' : 'purge')))
        return { status: 'ok', mode: soft ? 'expire' : 'purge', count: all ? 1 : named }
      })
    : await remoteOf(given, env, signal).post('/purge', body)
  const what = all
    ? 'everything'
    : [...urls, ...tags.map((tag) => `tag ${tag}`), ...routes.map((one) => `route ${one}`)].join(', ')
  io.out.write(values.json ? line(said) : `${soft ? 'Expired' : 'Purged'}: ${what}\n`)
  return 0
}

async function whyCommand({ given, env, io, signal }: Task): Promise<number> {
  const [url] = given.positionals
  const [route] = given.values.route ?? []
  if ((url === undefined) === (route === undefined))
    throw new Misused('which? Give a URL such as /cities/7, or --route')
  const said = await remoteOf(given, env, signal).get('/why', { url, route, method: given.values.method })
  const { stored, reason, cause, remedy, terms, hint } = said
  const rows: (readonly [string, unknown])[] = [
    ['route', said.route],
    ['stored', stored === null ? 'not known' : stored ? 'yes' : 'no'],
    ['reason', reason],
    ['cause', cause],
    ['remedy', remedy],
    ['told apart by', terms.join(', ') || undefined],
    ...heldRows(said),
    ['', hint],
  ]
  io.out.write(given.values.json ? line(said) : table(rows.filter(([, value]) => value !== undefined)))
  return 0
}

/** What is stored under the URL now. */
function heldRows({ held, note }: Said): (readonly [string, unknown])[] {
  if (held === undefined) return []
  const rows = held.map((one: Said) => {
    const fresh = one.freshForMs > 0 ? `fresh for ${Math.round(one.freshForMs / 1_000)} s` : 'stale'
    return ['held now', `${one.status}, ${one.bytes} bytes, ${one.codings.join(', ')}, ${fresh}`] as const
  })
  return [...(rows.length > 0 ? rows : [['held now', 'nothing'] as const]), ['', note]]
}

async function bansCommand({ given, env, io, signal }: Task): Promise<number> {
  const remote = remoteOf(given, env, signal)
  const { json, subject } = given.values
  const [first, policy, ...parts] = given.positionals
  if (first === 'lift') {
    if (policy === undefined || parts.length > 0 === (subject !== undefined)) {
      throw new Misused('whom? Give the policy, and a key or --subject')
    }
    const whom = subject === undefined ? { key: parts.length > 1 ? parts : parts[0] } : { subject }
    const said = await remote.post('/bans/lift', { policy, ...whom })
    io.out.write(json ? line(said) : said.lifted ? 'Lifted.\n' : 'There was no ban.\n')
    return 0
  }
  if (first === 'add') {
    const { for: span, reason } = given.values
    if (policy === undefined || parts.length === 0 || span === undefined) {
      throw new Misused('whom, and how long? Give the policy, a key and --for 1h')
    }
    const key = parts.length > 1 ? parts : parts[0]
    const said = await remote.post('/bans/add', { policy, key, for: span, ...(reason ? { reason } : {}) })
    io.out.write(json ? line(said) : `Shut out until ${said.until}.\n`)
    return 0
  }
  if (policy !== undefined) throw new Misused('one policy, `bans add <policy> <key>` or `bans lift <policy> <key>`')
  const said = await remote.get('/bans', { policy: first })
  const rows = said.bans.map((ban: Said) => [
    `${ban.policy} ${ban.subject}`,
    `until ${ban.until}${ban.reason ? `, ${ban.reason}` : ''}`,
  ])
  io.out.write(json ? line(said) : rows.length > 0 ? table(rows) : 'Nobody is shut out.\n')
  return 0
}

async function doctorCommand({ given, env, io, signal }: Task): Promise<number> {
  const findings = diagnose(
    given.values.redis ? await factsOfRedis(given, env) : await factsOfDoor({ given, env, io, signal }),
  )
  const healthy = isHealthy(findings)
  io.out.write(given.values.json ? line({ healthy, findings }) : findingsText(findings))
  return healthy ? 0 : 1
}

async function factsOfDoor({ given, env, signal }: Task): Promise<Facts> {
  const { node, ...said } = await remoteOf(given, env, signal).get('/doctor')
  return { ...said, nodes: { here: process.versions.node, there: node } }
}

async function factsOfRedis(given: Task['given'], env: NodeJS.ProcessEnv): Promise<Facts> {
  const nodes = { here: process.versions.node }
  const hasSecret = env.SLUICE_SECRET ? true : undefined
  const backend = await backendOf(given)
  try {
    return { nodes, backend: 'redis', hasSecret, server: await backend.inspect!(timeoutOf(given.values.timeout)) }
  } catch (error) {
    return { nodes, backend: 'redis', hasSecret, server: { error: (error as Error).message } }
  } finally {
    await backend.close?.()
  }
}
