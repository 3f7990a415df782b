import { isSluiceError } from '@sluice/core'

/** What can be the matter with a Redis. */
export interface Trouble {
  readonly kind: 'unreachable' | 'password' | 'permission' | 'readonly' | 'memory' | 'disk' | 'script' | 'other'
  /** Of the warning, for those who filter them. */
  readonly code: string
  /** What is the matter and what to do, without anything secret. */
  readonly message: string
}

interface Known extends Omit<Trouble, 'message'> {
  /** How its errors begin, or the codes the operating system gives them. */
  readonly pattern: RegExp
  readonly advice: string
}

const known: readonly Known[] = [
  {
    kind: 'password',
    code: 'SLUICE_REDIS_PASSWORD',
    pattern: /^(WRONGPASS|NOAUTH|ERR invalid password|ERR Client sent AUTH)/,
    advice: 'Redis does not accept the user or the password. Correct them in the URL or in the options of the client.',
  },
  {
    kind: 'permission',
    code: 'SLUICE_REDIS_PERMISSION',
    pattern: /(^|\b)NOPERM|ACL failure|can't run this command or subcommand|cannot run this command/i,
    advice: 'The user is not allowed a command, key or channel that is needed. Give it the ACL line of the README.',
  },
  {
    kind: 'readonly',
    code: 'SLUICE_REDIS_READONLY',
    pattern: /READONLY/,
    advice: 'This Redis is a replica and takes no writes. Connect to the master, or through Sentinel.',
  },
  {
    kind: 'memory',
    code: 'SLUICE_REDIS_OOM',
    pattern: /\bOOM\b/,
    advice: 'Redis is out of memory and was told not to evict. Set `maxmemory-policy allkeys-lru`, or give it more.',
  },
  {
    kind: 'disk',
    code: 'SLUICE_REDIS_MISCONF',
    pattern: /MISCONF/,
    advice: 'Redis cannot write its snapshot and takes no writes until it can. Look at its log and its disk.',
  },
  {
    kind: 'script',
    code: 'SLUICE_REDIS_SCRIPT',
    pattern: /compiling script|unknown command ['`]?(eval|script)|NOSCRIPT|Unknown Redis command/i,
    advice:
      'Redis does not run the scripts of Sluice. It has to be Redis 6.2 or newer, or Valkey, with EVAL and EVALSHA.',
  },
  {
    kind: 'unreachable',
    code: 'SLUICE_REDIS_UNREACHABLE',
    pattern:
      /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOENT|ECONNRESET|EPIPE|EACCES|CERT|SELF_SIGNED|All sentinels are unreachable|Failed to refresh slots cache|There is no connection|isn't writeable|Connection is closed|longer than|The client is (closed|offline|not connected)|Socket closed unexpectedly|Socket timeout|Connection timeout|Disconnects client|The command was aborted|root nodes are unavailable|of the sentinels are available/,
    advice: 'Redis cannot be reached, or does not answer. Check the address, the network and the server.',
  },
]

/** What an error of Redis, of a connection, or of a deadline means. */
export function troubleOf(error: unknown): Trouble {
  const { message = '', code = '' } = (error ?? {}) as { message?: string; code?: string }
  const cause = isSluiceError(error) ? '' : `${code} `
  const text = `${message.startsWith(code) ? '' : cause}${message}`.trim()
  const found = known.find(({ pattern }) => pattern.test(message) || pattern.test(text))
  if (!found) return { kind: 'other', code: 'SLUICE_REDIS', message: text }
  const { kind, code: warning, advice } = found
  return { kind, code: warning, message: isSluiceError(error) ? advice : `${advice} (${text})` }
}

/**
 * An error as it may be shown: replies of Redis carry the command they answer, and that may be the password.
 */
export function withoutSecrets(error: unknown): unknown {
  const command = (error as { command?: { name?: string } } | null)?.command
  if (!(error instanceof Error) || !command || !/^(auth|hello)$/i.test(command.name ?? '')) return error
  return Object.assign(new Error(error.message), { name: error.name })
}

/** How long until the same thing is warned of again. */
const quietMs = 10 * 60_000

/** Warns of trouble on the process, each kind once and then no more often than every ten minutes. */
export class Warnings {
  readonly #last = new Map<string, number>()

  note(error: unknown): void {
    const { kind, code, message } = troubleOf(error)
    if (kind === 'other') return
    // Of the process, whatever a test's clock says.
    const now = performance.now()
    const last = this.#last.get(code)
    if (last !== undefined && now - last < quietMs) return
    this.#last.set(code, now)
    process.emitWarning(`sluice: ${message}`, { type: 'SluiceWarning', code })
  }
}
