import { optionError, rule, type Schema } from '@sluice/core'

/** What can be done through a door, beside looking. */
export type Action = 'purge' | 'limits' | 'bans'

export const allActions: readonly Action[] = ['purge', 'limits', 'bans']

/** What `admin(sluice, …)` is given. */
export interface AdminOptions<Request extends object = object> {
  /**
   * Whether this request may come in. `true`, a name, or an object with a `name` (or `id`) opens; everything else, an error
   * included, does not. The name stands in the event `audit`. May be async. Is given Express's or node's `req`, Koa's `ctx`,
   * Fastify's `request`. Compare secrets with `crypto.timingSafeEqual`, or let `bearer(token)` do it.
   *
   * Default: nobody. Only where `NODE_ENV` is `development` may it be left out; then a client on a loopback address may come
   * in that asked for a loopback host and came through no proxy.
   */
  authorize?: ((request: Request) => unknown) | undefined
  /**
   * What may be done: `true` everything, `false` nothing but looking, or a list of `'purge'`, `'limits'`, `'bans'`.
   * Default `true`.
   */
  actions?: boolean | readonly Action[] | undefined
  /**
   * Where the door is, for hosts that leave that in the URL (node:http, Koa without koa-mount): what lies elsewhere goes on to
   * the next. Express and Fastify cut it off themselves. Default `''`.
   */
  path?: string | undefined
}

/** The same, as the code reads it. */
export interface DoorRules {
  readonly authorize: ((request: object) => unknown) | undefined
  readonly actions: ReadonlySet<Action>
  readonly path: string
}

/** The options that all doors have, and how they are checked. */
export const doorSchema: Schema<AdminOptions<never>> = {
  authorize: rule.function,
  actions: rule.either(rule.boolean, (value) =>
    Array.isArray(value) && value.every((one) => allActions.includes(one as Action))
      ? undefined
      : "must be a list of 'purge', 'limits', 'bans'",
  ),
  path: (value) =>
    value === '' || (typeof value === 'string' && /^(?:\/[^/?#\s]+)+$/.test(value))
      ? undefined
      : "must be a path such as '/ops', without a slash at its end",
}

/**
 * @param name - of the function that was given the options
 * @param actionsFor - what may be done where nothing is said of it
 * @throws SluiceError for an option that does not fit, and for no `authorize` outside development
 */
export function resolveRules(name: string, options: AdminOptions<never>, actionsFor: boolean): DoorRules {
  const { authorize, actions = actionsFor, path = '' } = options
  if (!authorize && process.env.NODE_ENV !== 'development') {
    throw optionError(
      `${name}.authorize`,
      'must be a function that says who may come in: only where NODE_ENV is `development` may it be left out',
      authorize,
    )
  }
  return {
    authorize: authorize as DoorRules['authorize'],
    actions: new Set(actions === true ? allActions : actions === false ? [] : actions),
    path,
  }
}
