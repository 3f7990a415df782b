import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AdminDoor, type AdminOptions, admin, type Door as MadeDoor, type Operated } from '@sluice/admin'
import type {
  CacheOptions,
  CompressOptions,
  ConditionOptions,
  FieldsOptions,
  InstanceEvents,
  InvalidationTarget,
  Limiter,
  LogOptions,
  LogTarget,
  Page,
  PaginateOptions,
  PolicyInput,
  ResponseControl,
  ShedOptions,
  SluiceOptions,
  SluiceStats,
  TagSource,
} from '@sluice/core'
import { type DashboardOptions, dashboard } from '@sluice/dashboard'
import type { FrontOptions } from '@sluice/node'

/** What a neutral handler or middleware is given: the few things every framework can do, done that framework's way. */
export interface Ctx {
  readonly method: string
  readonly path: string
  /** A request field, read as the framework's documentation reads it. */
  header(name: string): string | undefined
  /** All request fields at once. */
  headers(): Record<string, unknown>
  cookie(name: string): string | undefined
  readonly query: Readonly<Record<string, unknown>>
  readonly params: Readonly<Record<string, string>>
  /** Where authentication puts what it found. */
  user: unknown
  session: unknown
  readonly ip: string | undefined
  /** Sets one line of a field, or with an array several. */
  set(name: string, value: string | readonly string[]): void
  append(name: string, value: string): void
  remove(name: string): void
  status(code: number): Ctx
  /** A whole body: text, bytes, or an object as JSON; without one, none. */
  send(body?: string | Uint8Array | object): void
  /** A body in pieces. */
  stream(pieces: AsyncIterable<string | Uint8Array>): void | Promise<void>
  /** What the handler says of its own response. */
  readonly sluice: ResponseControl
  /** The page of the list, behind `paginate`. */
  readonly page: Page
  /** What the framework calls a response: `res`, `ctx.response`, `reply`. */
  readonly response: object
  /** The sockets' side, for what frameworks leave to node. */
  readonly raw: { readonly req: IncomingMessage; readonly res: ServerResponse }
}

/** What it answers does not matter, but for a promise: that is waited for. */
export type Step = (c: Ctx) => unknown

/** What is limited, and how: as middleware, or as Fastify says it. */
export interface Limits {
  /** Charged together. Of a route: in front of its `before`, but on Fastify behind it where a policy waits for the hooks. */
  readonly limit?: readonly PolicyInput[] | undefined
  readonly limitPer?: 'route' | undefined
  readonly shed?: ShedOptions | undefined
}

/** A route, described once for all hosts. The steps run in the order of the members. */
export interface Route extends Limits {
  /** Default `GET`. */
  readonly method?: string
  /** A pattern: `/cities/:id`. */
  readonly path: string
  /** In front of the cache. One that answers ends the request. */
  readonly before?: readonly Step[]
  readonly exempt?: boolean | undefined
  /** Behind `before` and in front of the cache: for policies by user. */
  readonly limitUser?: readonly PolicyInput[] | undefined
  /** Absent: no cache. `{}`: the handler's own Cache-Control decides. */
  readonly cache?: CacheOptions | undefined
  readonly condition?: ConditionOptions | undefined
  readonly invalidate?: readonly TagSource[] | undefined
  readonly paginate?: PaginateOptions | undefined
  /** Behind the cache; in front of it where it says `store: 'whole'`. */
  readonly fields?: FieldsOptions | undefined
  /** Behind the cache: charges misses only. */
  readonly limitMisses?: readonly PolicyInput[] | undefined
  /** Between cache and handler. Where the look-up always comes last (Fastify), in front of it. */
  readonly between?: readonly Step[]
  readonly handler: Step
}

/** An operator's door at `/ops`, behind the application's limits; with `purge` also for the method, at any URL. */
export interface Door {
  // biome-ignore lint/suspicious/noExplicitAny: what `authorize` is given differs between frameworks.
  readonly options?: AdminOptions<any>
  /** It has the page too, which is then what the options are of. */
  // biome-ignore lint/suspicious/noExplicitAny: the same.
  readonly page?: DashboardOptions<any>
  readonly purge?: boolean
  /** Behind what parses bodies; else in front of it. */
  readonly behindParsers?: boolean
}

/** Makes it: the page is one with more behind it. */
export function openDoor(
  sluice: Operated & Parameters<typeof dashboard>[0],
  { options, page }: Door,
  path = '',
): MadeDoor & Partial<Pick<AdminDoor, 'purge'>> {
  return page ? dashboard(sluice, { ...page, path }) : admin(sluice, { ...options, path })
}

/** The limits of an application are for every request, and run before anything else. */
export interface AppSpec extends Limits {
  readonly routes: readonly Route[]
  /** Runs for every request, first. */
  readonly use?: readonly Step[]
  readonly sluice?: Omit<SluiceOptions, 'clock'>
  /** The application's own error handling, as the framework has it; `false`: what the framework does without. Not of node. */
  readonly failed?: ((c: Ctx, error: unknown) => unknown) | false
  /** Believes proxies, as the framework has it. */
  readonly proxy?: boolean
  /** The address to listen on. Default `127.0.0.1`. */
  readonly listen?: string
  /**
   * Is served through `sluice.front(…)`; on Fastify the plugin's option. `false`: also where suites are sent through a door it
   * is not, for this test counts what comes to the application.
   */
  readonly front?: boolean | FrontOptions
  /** `sluice.compress(…)` in front of everything. */
  readonly compress?: CompressOptions
  /** Speaks HTTP/2 through the compatibility API: `true` without TLS, `secure` with it. */
  readonly http2?: boolean | 'secure'
  readonly door?: Door
}

/** What of an instance the tests use; every host's has it. */
export interface TestSluice {
  purge(target: InvalidationTarget): Promise<void>
  expire(target: InvalidationTarget): Promise<void>
  stats(): SluiceStats
  log(logger: LogTarget, options?: LogOptions): () => void
  on<Name extends keyof InstanceEvents>(name: Name, listener: (event: InstanceEvents[Name]) => void): () => void
  check: Limiter['check']
  peek: Limiter['peek']
  refund: Limiter['refund']
  reset: Limiter['reset']
  ban: Limiter['ban']
  unban: Limiter['unban']
  bans: Limiter['bans']
  close(): Promise<void>
}
