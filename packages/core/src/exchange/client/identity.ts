import { isSluiceError, SluiceError, show } from '../../base/errors.ts'
import { isPromise } from '../../base/maybe-promise.ts'
import { userName } from './user-name.ts'

/**
 * Names a signed-in user: `(user) => user.account.number`. It is the whole name, so whatever tells answers apart belongs
 * into it: tenant and roles too. `undefined` where it cannot be told; such a user's responses are not stored.
 */
// biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
export type IdentityFunction = (user: any) => string | undefined

/** How the users of one instance are called. */
export class Identity {
  readonly #declared: IdentityFunction | undefined
  readonly #report: (error: SluiceError) => void
  #advised = false

  constructor(declared?: IdentityFunction, report: (error: SluiceError) => void = () => {}) {
    this.#declared = declared
    this.#report = report
  }

  /**
   * The name of somebody; `undefined` where it cannot be told.
   *
   * @param exact - for what is stored: roles and scopes are part of it
   */
  nameOf(user: unknown, exact: boolean): string | undefined {
    const name = this.#declared ? this.#ask(this.#declared, user) : userName(user, exact)
    if (name === undefined) this.#advise(user)
    return name
  }

  #ask(declared: IdentityFunction, user: unknown): string | undefined {
    try {
      const name: unknown = declared(user)
      if (name === undefined || name === null) return undefined
      if (typeof name === 'string' && name !== '') return name
      // An asynchronous function, which this must not be: what it rejects with is not to end the process.
      if (isPromise(name)) name.then(undefined, () => {})
      this.#report(
        new SluiceError(
          'ERR_SLUICE_CALLBACK',
          `The function given as \`identity\` must answer a non-empty string or undefined, but answered ${show(name)}.`,
        ),
      )
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : 'something that is no error'
      this.#report(
        isSluiceError(cause)
          ? cause
          : new SluiceError('ERR_SLUICE_CALLBACK', `The function given as \`identity\` threw: ${message}.`, { cause }),
      )
    }
    return undefined
  }

  /** Once: whoever has this mistake has it at each request. */
  #advise(user: unknown): void {
    if (this.#advised) return
    this.#advised = true
    const found = this.#declared ? 'the function given as `identity` answered no name' : 'no name was found'
    process.emitWarning(
      `by.user: somebody is signed in, but ${found}, so nothing is stored for such users, and limits count them by ` +
        `address. Declare it: createSluice({ identity: (user) => ${suggestion(user)} }).`,
      { code: 'SLUICE_IDENTITY' },
    )
  }
}

/** The expression to write. Property names only: a value may be a secret. */
function suggestion(user: unknown): string {
  try {
    const entries = Object.entries(user as object).filter(([name]) => /^[a-z_$][\w$]*$/i.test(name))
    const text = entries.filter(([, value]) => typeof value === 'string' || typeof value === 'number')
    const likely = text.find(([name]) => /id$|key|login|mail|name|number|no$|sub/i.test(name)) ?? text[0]
    if (likely) return typeof likely[1] === 'string' ? `user.${likely[0]}` : `String(user.${likely[0]})`
    const inner = entries.find(([, value]) => typeof value === 'object' && value !== null)
    if (inner) return `user.${inner[0]}.id`
  } catch {
    // A getter or a proxy of the application's.
  }
  return 'user.name'
}
