import { parseArgs } from 'node:util'

/** The command line was used wrongly: exit code 2. */
export class Misused extends Error {}

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

const common = { url: text, token: text, timeout: text, json: flag, help: { type: 'boolean', short: 'h' } } as const
const direct = { redis: text, namespace: text, lanes: text, cluster: flag } as const

/** Which options each command has, so that none is taken and not obeyed. */
const options = {
  purge: { ...common, ...direct, tag: texts, route: texts, all: flag, yes: flag, soft: flag },
  why: { ...common, route: texts, method: text },
  stats: { ...common, watch: flag, interval: text },
  limits: { ...common, ...direct, route: texts, rate: text, algorithm: text, by: text },
  bans: { ...common, subject: text, for: text, reason: text },
  doctor: { ...common, ...direct },
} as const

export type CommandName = keyof typeof options

export const isCommand = (name: string): name is CommandName => Object.hasOwn(options, name)

/** What a command was given: options it does not have are absent. */
export interface Given {
  readonly positionals: readonly string[]
  readonly values: { readonly [name in Text]?: string } & { readonly [name in Texts]?: readonly string[] } & {
    readonly [name in Flag]?: boolean
  }
}

type Text =
  | 'url'
  | 'token'
  | 'timeout'
  | 'redis'
  | 'namespace'
  | 'lanes'
  | 'method'
  | 'interval'
  | 'rate'
  | 'algorithm'
  | 'by'
  | 'subject'
  | 'for'
  | 'reason'
type Texts = 'tag' | 'route'
type Flag = 'cluster' | 'json' | 'help' | 'all' | 'yes' | 'soft' | 'watch'

/** @throws Misused */
export function readArguments(command: CommandName, args: readonly string[]): Given {
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: options[command] })
    return { values: values as Given['values'], positionals }
  } catch (error) {
    throw new Misused((error as Error).message)
  }
}
