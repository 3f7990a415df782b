import { clientAddress } from '../../exchange/client/client-address.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { Policy } from '../policy/policy.ts'
import { Watch } from './watch.ts'

/** How many requests of a limiter are looked at. A mistake of this kind shows in the first of them or in none. */
const looks = 1_000

/** Fields in which proxies say whom they stand for. Anybody else can write them too. */
const forwarding = [
  'x-forwarded-for',
  'forwarded',
  'x-real-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'x-client-ip',
] as const

/**
 * Says once, as a warning of the process, what an application is likely to have mounted in the wrong place, and the line to
 * change: a limit that counts everybody as one, or one as many, is not seen from outside.
 */
export class Advice {
  #left = looks
  readonly #given = new Set<string>()

  /** Enough requests were looked at. */
  get given(): boolean {
    return this.#left === 0
  }

  /** `undefined` when enough requests were looked at: from then on it costs nothing. */
  watch(view: RequestView): Watch | undefined {
    if (this.#left === 0) return undefined
    this.#left--
    return new Watch(view)
  }

  /** When the functions of these policies were asked. */
  asked(policies: readonly Policy[], { view, fields, missing }: Watch): void {
    for (const policy of policies) {
      if (policy.byIp) this.#behindProxy(policy, view)
    }
    const field = forwarding.find((name) => fields.has(name) && !isTrusted(view, name))
    const where = namesOf(policies)
    if (field !== undefined && policies.some(({ byIp }) => !byIp)) {
      this.#give(
        'SLUICE_LIMIT_FORWARDED',
        where,
        () =>
          `Limit ${where} counts by \`${field}\`, which nobody was told to trust: whoever writes it himself has a fresh quota with ` +
          `each value. Leave \`key\` out, and say which proxy to trust: ${trustLines}`,
      )
    }
    if (missing.has('body') && hasBody(view)) {
      this.#give(
        'SLUICE_LIMIT_BODY',
        where,
        () =>
          `Limit ${where} reads the body of a request that is not parsed yet: all such requests share one bucket. Mount the limit ` +
          'behind the parser: app.post(path, express.json(), sluice.limit(…)); Koa: app.use(bodyParser()) in front of it; Fastify: ' +
          "phase: 'preHandler'.",
      )
    }
  }

  /** When the response has ended: who is signed in now was not when the limit asked. */
  answered(policies: readonly Policy[], { view, missing }: Watch): void {
    for (const name of ['user', 'session'] as const) {
      const found = missing.has(name) ? view.property(name) : undefined
      if (found === undefined || found === null) continue
      const where = namesOf(policies)
      this.#give(
        'SLUICE_LIMIT_USER',
        where,
        () =>
          `Limit ${where} asks for the ${name} in front of what finds it: it counts by address, or all as one. Mount it behind: ` +
          "app.use(authenticate, sluice.limit(…)); Koa alike; Fastify: phase: 'preHandler'.",
      )
      return
    }
  }

  /** A proxy says for whom it asks, and the framework was not told to believe it. */
  #behindProxy(policy: Policy, view: RequestView): void {
    const field = forwarding.find((name) => view.header(name) !== undefined)
    if (field === undefined || isTrusted(view, field)) return
    this.#give(
      'SLUICE_LIMIT_FORWARDED',
      policy.name,
      () =>
        `Limit \`${policy.name}\` counts by the address of the connection, but requests come with \`${field}\`: behind a proxy all ` +
        `its clients are one. Say which proxy to trust: ${trustLines} If there is none in front, nothing is to be done.`,
    )
  }

  #give(code: string, where: string, text: () => string): void {
    const name = `${code} ${where}`
    if (this.#given.has(name)) return
    this.#given.add(name)
    process.emitWarning(text(), { code })
  }
}

const namesOf = (policies: readonly Policy[]): string => policies.map(({ name }) => `\`${name}\``).join(', ')

/** Whether there may be something to say when the response is there. */
export function mayHaveCome({ missing }: Watch): boolean {
  return missing.has('user') || missing.has('session')
}

const trustLines =
  "Express: app.set('trust proxy', 1); Koa: app.proxy = true; Fastify: Fastify({ trustProxy: 1 }); node:http: a `key` of your own."

/** The framework's own idea of the client comes from there. */
function isTrusted(view: RequestView, field: string): boolean {
  const address = clientAddress(view.clientIp)
  const parts = (view.header(field) ?? '')
    .split(/[,;]/)
    .map((part) => clientAddress(part.replace(/^\s*for=/i, '').trim()))
  return address !== undefined && parts.includes(address)
}

/** RFC 9112 §6: a request has a body where one of these says so. */
function hasBody(view: RequestView): boolean {
  return view.header('transfer-encoding') !== undefined || Number(view.header('content-length') ?? 0) > 0
}
